%% @private
%% Checks whether the VM's schedulers run what they are given.
-module(systemd_check_schedulers).

-export([run/2, jobs/1]).

%% @doc Gives each scheduler and each dirty pool a job. A job that does not run in time stays, and the next call looks
%% for it. So a stuck scheduler has only one job of ours, which is in the table, for any number of calls and callers.
-spec run(Millis :: pos_integer(), ets:table()) -> true | io_lib:chars().
run(Millis, Table) ->
    Late = [Job || Job <- [job(Place, Table) || Place <- places()], not has_run(Job, Millis, Table)],
    %% A scheduler that went offline meanwhile need not run.
    Places = places(),
    case [Job || {Place, _, _} = Job <- Late, lists:member(Place, Places)] of
        [] -> true;
        Stuck -> text(Stuck)
    end.

%% @doc The jobs that have not run yet, as far as is known.
-spec jobs(ets:table()) -> [pid()].
jobs(Table) -> [Pid || {state, {?MODULE, _}, {Pid, _}} <- ets:tab2list(Table)].

%% While all multi-scheduling is blocked, the pools wait too.
places() ->
    Pools = case erlang:system_info(multi_scheduling_blockers) of [] -> [dirty_cpu, dirty_io]; _ -> [] end,
    lists:seq(1, systemd_scheduler:online()) ++ Pools.

job(Place, Table) ->
    case ets:lookup(Table, {?MODULE, Place}) of
        [{state, _, {Pid, Since}}] ->
            %% is_process_alive/1 may wait for that process to run. A monitor does not. Its message may take a moment.
            Monitor = monitor(process, Pid),
            receive
                {'DOWN', Monitor, process, _, _} -> new_job(Place, Table)
            after 1 -> {Place, Since, Monitor}
            end;
        [] ->
            new_job(Place, Table)
    end.

new_job(Place, Table) ->
    {Pid, Monitor} =
        case Place of
            dirty_cpu -> systemd_scheduler:spawn_on(this_scheduler(), fun() -> job(fun systemd_nif:dirty_cpu/0) end);
            dirty_io -> systemd_scheduler:spawn_on(this_scheduler(), fun() -> job(fun systemd_nif:dirty_io/0) end);
            Scheduler -> systemd_scheduler:spawn_on(Scheduler, fun() -> ok end)
        end,
    Since = now_millis(),
    true = ets:insert(Table, {state, {?MODULE, Place}, {Pid, Since}}),
    {Place, Since, Monitor}.

job(Fun) ->
    try Fun()
    catch error:_ -> ok
    end.

%% The caller's scheduler is not stuck, so that a job for a pool gets there.
this_scheduler() -> erlang:system_info(scheduler_id).

has_run({Place, Since, Monitor}, Millis, Table) ->
    receive
        {'DOWN', Monitor, process, _, _} -> ets:delete(Table, {?MODULE, Place})
    after max(0, Since + Millis - now_millis()) ->
        demonitor(Monitor, [flush]),
        false
    end.

now_millis() -> erlang:monotonic_time(millisecond).

text(Stuck) ->
    Longest = now_millis() - lists:min([Since || {_, Since, _} <- Stuck]),
    {Numbers, Pools} = lists:partition(fun is_integer/1, [Place || {Place, _, _} <- Stuck]),
    Names = lists:join(", ", schedulers(Numbers) ++ lists:map(fun pool/1, Pools)),
    Have = case Stuck of [_] -> "has"; _ -> "have" end,
    io_lib:format(": ~ts ~ts not run anything for ~b ms", [Names, Have, Longest]).

schedulers([]) -> [];
schedulers([Number]) -> [io_lib:format("scheduler ~b", [Number])];
schedulers(Numbers) -> [io_lib:format("~b of ~b", [length(Numbers), erlang:system_info(schedulers_online)])].

pool(dirty_cpu) -> "the dirty CPU pool";
pool(dirty_io) -> "the dirty IO pool".
