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
    try once(erlang:monotonic_time(millisecond), What, Level, Format, Args)
    catch
        %% The application does not run, which is a mistake.
        error:badarg -> once_without_server(What, Level, Format, Args)
    end.

once(Now, What, Level, Format, Args) ->
    Kind = {kind, What},
    case ets:lookup(?MODULE, Kind) of
        [{_, Last, _}] when Now - Last < ?QUIET ->
            _ = ets:update_counter(?MODULE, Kind, {3, 1}),
            _ = ets:update_element(?MODULE, Kind, {2, Now}),
            ok;
        [{_, Last, More}] ->
            %% Of many at a time one says it.
            case ets:select_replace(?MODULE, [{{Kind, Last, '_'}, [], [{{{const, Kind}, Now, 0}}]}]) of
                1 -> say(Level, Format ++ again(More), Args);
                0 -> once(Now, What, Level, Format, Args)
            end;
        [] ->
            case has_room(Now) andalso {new, ets:insert_new(?MODULE, {Kind, Now, 0})} of
                {new, true} -> say(Level, Format, Args);
                {new, false} -> once(Now, What, Level, Format, Args);
                false -> count(unsaid, 1)
            end
    end.

again(0) -> "";
again(More) -> io_lib:format(" (~b more before)", [More]).

has_room(Now) ->
    ets:info(?MODULE, size) < ?MOST_KINDS + 2 orelse
        ets:select_delete(?MODULE, [{{{kind, '_'}, '$1', '_'}, [{'<', '$1', Now - ?QUIET}], [true]}]) > 0.

count(Counter, By) ->
    _ = ets:update_counter(?MODULE, Counter, By),
    ok.

%% Once in the life of the VM.
once_without_server(What, Level, Format, Args) ->
    case persistent_term:get({?MODULE, What}, unsaid) of
        unsaid ->
            persistent_term:put({?MODULE, What}, said),
            _ = catch spawn(fun() -> ?LOG(Level, Format, Args) end),
            ok;
        said ->
            ok
    end.

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
