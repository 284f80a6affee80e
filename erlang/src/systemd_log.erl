%% @private
%% Logs on behalf of those who must not wait for a logger handler, and each thing only once
%% while it goes on.
-module(systemd_log).
-behaviour(gen_server).

-export([start_link/0, say/3, once/4, to_stderr/2]).
-export([init/1, handle_call/3, handle_cast/2]).

-include_lib("kernel/include/logger.hrl").

%% What has not happened for this long, in milliseconds, is news again.
-define(QUIET, 60000).
%% More different things at a time are not remembered, nor logged.
-define(MOST, 100).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec say(logger:level(), io:format(), [term()]) -> ok.
say(Level, Format, Args) -> gen_server:cast(?MODULE, {say, Level, Format, Args}).

%% @doc The same `What' is logged once for as long as it keeps coming.
-spec once(What :: term(), logger:level(), io:format(), [term()]) -> ok.
once(What, Level, Format, Args) ->
    case whereis(?MODULE) of
        undefined -> once_without_server(What, Level, Format, Args);
        _ -> gen_server:cast(?MODULE, {once, What, Level, Format, Args})
    end.

%% Where the application does not run, which is a mistake: once in the life of the VM.
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

init([]) -> {ok, #{}}.

handle_call(_, _, Seen) -> {reply, {error, badarg}, Seen}.

handle_cast({say, Level, Format, Args}, Seen) ->
    ?LOG(Level, Format, Args),
    {noreply, Seen};
handle_cast({once, What, Level, Format, Args}, Seen) ->
    Now = erlang:monotonic_time(millisecond),
    case Seen of
        #{What := Last} when Now - Last < ?QUIET ->
            {noreply, Seen#{What := Now}};
        #{} ->
            Recent = maps:filter(fun(_, Last) -> Now - Last < ?QUIET end, Seen),
            case map_size(Recent) < ?MOST of
                true ->
                    ?LOG(Level, Format, Args),
                    {noreply, Recent#{What => Now}};
                false ->
                    {noreply, Recent}
            end
    end;
handle_cast(_, Seen) ->
    {noreply, Seen}.
