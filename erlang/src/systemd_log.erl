%% @private
%% Logs for processes that must not wait for a logger handler, and logs a repeated event once. Each caller counts its
%% line, so that the number of waiting lines stays bounded while a handler is stuck.
-module(systemd_log).
-behaviour(gen_server).

-export([start_link/0, say/3, once/4, to_stderr/2]).
-export([init/1, handle_call/3, handle_cast/2]).

-include_lib("kernel/include/logger.hrl").

%% An event that has not repeated for this long, in milliseconds, is logged again.
-define(REPEAT_AFTER, 60000).
%% Less than any monotonic time.
-define(NEVER, -(1 bsl 58)).
%% How many kinds of events are remembered at a time. Other events are only counted.
-define(MAX_KINDS, 100).
%% How many lines may wait for a handler at a time.
-define(MAX_WAITING, 100).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Logs a line. If too many lines wait, the line is dropped, and a later line says how many were.
-spec say(logger:level(), io:format(), [term()]) -> ok.
say(Level, Format, Args) ->
    try
        case ets:update_counter(?MODULE, waiting, 1) =< ?MAX_WAITING of
            true -> gen_server:cast(?MODULE, {Level, Format, Args});
            false -> count(waiting, -1), count(dropped, 1)
        end
    catch
        %% The application is not running.
        error:badarg -> ok
    end.

%% @doc Logs events of the same `What' once while they repeat. After a pause, the next event is logged with the number
%% of events before it.
-spec once(What :: term(), logger:level(), io:format(), [term()]) -> ok.
once(What, Level, Format, Args) ->
    {Kind, Now} = {{kind, What}, erlang:monotonic_time(millisecond)},
    try has_room(Kind, Now) andalso update_event(Kind, Now) of
        false -> count(dropped, 1);
        {Last, _} when Now - Last < ?REPEAT_AFTER -> ok;
        {_, Times} -> count(Kind, -Times), say(Level, Format ++ repeat_text(Times - 1), Args)
    catch
        %% The application is not running, although it should.
        error:badarg -> once_without_server(What, Level, Format, Args)
    end.

%% When the event came last, and how often since it was logged. This is one atomic step, so that only one of several
%% callers logs. The last operation sets the time: the sum exceeds the threshold, so it stores Now.
update_event(Kind, Now) ->
    Steps = [{2, 1}, {3, 0}, {3, 0, ?NEVER - 1, Now}],
    [Times, Last, Now] = ets:update_counter(?MODULE, Kind, Steps, {Kind, 0, ?NEVER}),
    {Last, Times}.

repeat_text(0) -> "";
repeat_text(More) -> io_lib:format(" (~b more before)", [More]).

has_room(Kind, Now) ->
    ets:info(?MODULE, size) < ?MAX_KINDS + 2 orelse ets:member(?MODULE, Kind) orelse
        ets:select_delete(?MODULE, [{{{kind, '_'}, '_', '$1'}, [{'<', '$1', Now - ?REPEAT_AFTER}], [true]}]) > 0.

count(Counter, By) ->
    _ = ets:update_counter(?MODULE, Counter, By),
    ok.

%% Logs once in the lifetime of the VM.
once_without_server(What, Level, Format, Args) ->
    _ = persistent_term:get({?MODULE, What}, not_logged) =:= not_logged andalso
        try spawn(fun() -> ?LOG(Level, Format, Args) end)
        catch error:system_limit -> not_logged
        end,
    persistent_term:put({?MODULE, What}, logged).

%% @doc Writes to standard error what can't be logged. The caller does not wait for a terminal or pipe that is stuck.
-spec to_stderr(io:format(), [term()]) -> ok.
to_stderr(Format, Args) ->
    _ = systemd_journal_stderr:write(error, ["systemd: " | io_lib:format(Format, Args)], 0),
    ok.

init([]) ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {write_concurrency, true}]),
    true = ets:insert(?MODULE, [{waiting, 0}, {dropped, 0}]),
    {ok, none}.

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast({Level, Format, Args}, State) ->
    ?LOG(Level, Format, Args),
    count(waiting, -1),
    Dropped = ets:lookup_element(?MODULE, dropped, 2),
    count(dropped, -Dropped),
    _ = Dropped > 0 andalso ?LOG(warning, "systemd: ~b more lines of this library were not logged", [Dropped]),
    {noreply, State};
handle_cast(_, State) ->
    {noreply, State}.
