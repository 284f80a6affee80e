%% @private
%% Logs on behalf of those who must not wait for a logger handler, and what goes on only once. Whoever logs counts, so
%% that a handler that is stuck has a bounded number of messages in front of it.
-module(systemd_log).
-behaviour(gen_server).

-export([start_link/0, say/3, once/4, to_stderr/2]).
-export([init/1, handle_call/3, handle_cast/2]).

-include_lib("kernel/include/logger.hrl").

%% What has not happened for this long, in milliseconds, is news again.
-define(QUIET, 60000).
%% Before any monotonic time.
-define(NEVER, -(1 bsl 58)).
%% So many kinds of things are remembered at a time. All others are one kind.
-define(MOST_KINDS, 100).
%% So many lines wait for a handler at a time.
-define(MOST_WAITING, 100).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Where there is no room for it, the next line that there is room for tells that there was none.
-spec say(logger:level(), io:format(), [term()]) -> ok.
say(Level, Format, Args) ->
    try
        case ets:update_counter(?MODULE, waiting, 1) =< ?MOST_WAITING of
            true -> gen_server:cast(?MODULE, {Level, Format, Args});
            false -> count(waiting, -1), count(unsaid, 1)
        end
    catch
        %% The application does not run.
        error:badarg -> ok
    end.

%% @doc The same `What' is logged once for as long as it keeps coming, and then with how often it came.
-spec once(What :: term(), logger:level(), io:format(), [term()]) -> ok.
once(What, Level, Format, Args) ->
    {Kind, Now} = {{kind, What}, erlang:monotonic_time(millisecond)},
    try has_room(Kind, Now) andalso came(Kind, Now) of
        false -> count(unsaid, 1);
        {Last, _} when Now - Last < ?QUIET -> ok;
        {_, Times} -> count(Kind, -Times), say(Level, Format ++ again(Times - 1), Args)
    catch
        %% The application does not run, which is a mistake.
        error:badarg -> once_without_server(What, Level, Format, Args)
    end.

%% When it came last, and how often since it was said. One step, so that of many at a time one says it: the time is
%% set as what a counter gets that is above its threshold.
came(Kind, Now) ->
    Steps = [{2, 1}, {3, 0}, {3, 0, ?NEVER - 1, Now}],
    [Times, Last, Now] = ets:update_counter(?MODULE, Kind, Steps, {Kind, 0, ?NEVER}),
    {Last, Times}.

again(0) -> "";
again(More) -> io_lib:format(" (~b more before)", [More]).

has_room(Kind, Now) ->
    ets:info(?MODULE, size) < ?MOST_KINDS + 2 orelse ets:member(?MODULE, Kind) orelse
        ets:select_delete(?MODULE, [{{{kind, '_'}, '_', '$1'}, [{'<', '$1', Now - ?QUIET}], [true]}]) > 0.

count(Counter, By) ->
    _ = ets:update_counter(?MODULE, Counter, By),
    ok.

%% Once in the life of the VM.
once_without_server(What, Level, Format, Args) ->
    _ = persistent_term:get({?MODULE, What}, unsaid) =:= unsaid andalso
        try spawn(fun() -> ?LOG(Level, Format, Args) end)
        catch error:system_limit -> unsaid
        end,
    persistent_term:put({?MODULE, What}, said).

%% @doc For what can't be logged. Nobody waits for a terminal or a pipe that is stuck.
-spec to_stderr(io:format(), [term()]) -> ok.
to_stderr(Format, Args) ->
    _ = systemd_journal_stderr:write(error, ["systemd: " | io_lib:format(Format, Args)], 0),
    ok.

init([]) ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {write_concurrency, true}]),
    true = ets:insert(?MODULE, [{waiting, 0}, {unsaid, 0}]),
    {ok, none}.

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast({Level, Format, Args}, State) ->
    ?LOG(Level, Format, Args),
    count(waiting, -1),
    Unsaid = ets:lookup_element(?MODULE, unsaid, 2),
    count(unsaid, -Unsaid),
    _ = Unsaid > 0 andalso ?LOG(warning, "systemd: ~b more lines of this library were not logged", [Unsaid]),
    {noreply, State};
handle_cast(_, State) ->
    {noreply, State}.
