%% @private
%% Owners of native threads. A thread ends with its owner, whoever has a term of it, also when another copy of the native
%% library has taken the place of the one that runs it.
-module(systemd_owner).

-export([start_link/1, stop/1, wait/1]).
-export([init/1]).

%% @doc Calls `Start' with a new owner, which ends with the calling process.
-spec start_link(fun((Owner :: pid()) -> {ok, Thread} | Other)) ->
    {ok, {Owner :: pid(), Thread}} | {error, eagain} | Other.
start_link(Start) ->
    try spawn_link(?MODULE, init, [self()]) of
        Owner -> start(Start, Owner)
    catch
        %% There may be a process in a moment, as with threads.
        error:system_limit -> {error, eagain}
    end.

start(Start, Owner) ->
    try Start(Owner) of
        {ok, Thread} ->
            {ok, {Owner, Thread}};
        Other ->
            stop(Owner),
            Other
    catch
        Class:Reason:Stack ->
            stop(Owner),
            erlang:raise(Class, Reason, Stack)
    end.

-spec stop(Owner :: pid()) -> ok.
stop(Owner) ->
    true = unlink(Owner),
    exit(Owner, kill),
    ok.

init(Process) -> wait(monitor(process, Process)).

%% @doc Until the process with that monitor is down. In hibernation no version of this module is in use, and none is in
%% the way of an upgrade.
-spec wait(reference()) -> ok.
wait(Monitor) ->
    receive
        {'DOWN', Monitor, process, _, _} -> ok;
        _ -> wait(Monitor)
    after 0 -> erlang:hibernate(?MODULE, wait, [Monitor])
    end.
