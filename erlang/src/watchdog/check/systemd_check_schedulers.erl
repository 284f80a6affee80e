%% @private
%% Whether the VM's schedulers run what they are given.
-module(systemd_check_schedulers).

-export([run/2, jobs/1]).

%% @doc Has each of them run a job. One that is not run in time stays where it is, and is looked for the next time:
%% however often a place that is stuck is looked at, and whoever looks, it has one job of ours, which is in the table.
-spec run(Millis :: pos_integer(), ets:table()) -> true | io_lib:chars().
run(Millis, Table) ->
    Late = [Job || Job <- [job(Place, Table) || Place <- places()], not has_run(Job, Millis, Table)],
    %% A scheduler that was taken offline meanwhile has no reason to run.
    Places = places(),
    case [Job || {Place, _, _} = Job <- Late, lists:member(Place, Places)] of
        [] -> true;
        Stuck -> text(Stuck)
    end.

%% @doc Those that have not been run yet, as far as is known.
-spec jobs(ets:table()) -> [pid()].
jobs(Table) -> [Pid || {state, {?MODULE, _}, {Pid, _}} <- ets:tab2list(Table)].

%% A pool waits, too, while all of multi-scheduling is blocked.
places() ->
    Pools = case erlang:system_info(multi_scheduling_blockers) of [] -> [dirty_cpu, dirty_io]; _ -> [] end,
    lists:seq(1, systemd_scheduler:online()) ++ Pools.

job(Place, Table) ->
    case ets:lookup(Table, {?MODULE, Place}) of
        [{state, _, {Pid, Since}}] ->
            %% Not is_process_alive/1, which may wait for that process to run. The message may take a moment.
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

%% Which is not stuck, so that what it has for a pool gets there.
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
