%% A logger handler that keeps what the application logs.
-module(log_counter).

-export([start/0, stop/0, messages/0, log/2]).

start() ->
    ets:new(?MODULE, [named_table, public, ordered_set]),
    ok = logger:add_handler(?MODULE, ?MODULE, #{}).

stop() ->
    ok = logger:remove_handler(?MODULE),
    ets:delete(?MODULE).

%% Everything that the application was asked to log until now.
messages() ->
    case whereis(systemd_log) of
        undefined -> ok;
        Log -> sys:get_state(Log)
    end,
    [Text || {_, "systemd: " ++ _ = Text} <- ets:tab2list(?MODULE)].

log(#{msg := {string, Text}}, _) -> keep(Text);
log(#{msg := {Format, Args}}, _) when is_list(Args) -> keep(io_lib:format(Format, Args));
log(_, _) -> ok.

keep(Text) ->
    Line = unicode:characters_to_list(Text),
    ets:insert(?MODULE, {erlang:unique_integer([monotonic]), Line}).
