%% @private
%% Whether the VM's schedulers run what they are given.
-module(systemd_check_schedulers).

-export([run/2]).

-export_type([waiting/0]).

%% An option that OTP's own tests use, and that is not documented: to bind a process to a scheduler.
-dialyzer({no_return, [new_job/1, spawn_on/2]}).

%% The number of a scheduler, or a pool.
-type place() :: pos_integer() | dirty_cpu | dirty_io.

%% The jobs that have not been run yet, and since when, in monotonic milliseconds.
-type waiting() :: #{place() => {pid(), Since :: integer()}}.

%% @doc Has each of them run a job. One that is not run in time stays where it is, and is looked for the
%% next time: however often a place that is stuck is looked at, it has one job of ours.
-spec run(Millis :: pos_integer(), waiting()) -> {true | io_lib:chars(), waiting()}.
run(Millis, Waiting) ->
    Late = [Job || Job <- [job(Place, Waiting) || Place <- places()], not has_run(Job, Millis)],
    %% A scheduler that was taken offline meanwhile has no reason to run.
    Places = places(),
    case [Job || {Place, _, _, _} = Job <- Late, lists:member(Place, Places)] of
        [] -> {true, #{}};
        Stuck -> {text(Stuck), maps:from_list([{Place, {Pid, Since}} || {Place, Pid, Since, _} <- Stuck])}
    end.

%% While multi-scheduling is blocked, what is bound to a scheduler waits for the end of that.
places() ->
    Blocked = fun(Blockers) -> erlang:system_info(Blockers) =/= [] end,
    case Blocked(multi_scheduling_blockers) of
        true -> [];
        false ->
            [
                Number
             || not Blocked(normal_multi_scheduling_blockers),
                Number <- lists:seq(1, erlang:system_info(schedulers_online))
            ] ++ [dirty_cpu, dirty_io]
    end.

job(Place, Waiting) ->
    case Waiting of
        #{Place := {Pid, Since}} ->
            %% Not is_process_alive/1, which may wait for that process to run. The message that it is
            %% gone takes a moment.
            Monitor = monitor(process, Pid),
            receive
                {'DOWN', Monitor, process, _, _} -> new_job(Place)
            after 1 -> {Place, Pid, Since, Monitor}
            end;
        #{} ->
            new_job(Place)
    end.

new_job(Place) ->
    {Pid, Monitor} =
        case Place of
            dirty_cpu -> spawn_on(this_scheduler(), fun() -> catch systemd_nif:dirty_cpu() end);
            dirty_io -> spawn_on(this_scheduler(), fun() -> catch systemd_nif:dirty_io() end);
            Scheduler -> spawn_on(Scheduler, fun() -> ok end)
        end,
    {Place, Pid, now_millis(), Monitor}.

%% Before the many that may be waiting.
spawn_on(Scheduler, Fun) -> spawn_opt(Fun, [monitor, {priority, high}, {scheduler, Scheduler}]).

%% Which is not stuck, so that what it has for a pool gets there.
this_scheduler() -> erlang:system_info(scheduler_id).

has_run({_, _, Since, Monitor}, Millis) ->
    receive
        {'DOWN', Monitor, process, _, _} -> true
    after max(0, Since + Millis - now_millis()) ->
        demonitor(Monitor, [flush]),
        false
    end.

now_millis() -> erlang:monotonic_time(millisecond).

text(Stuck) ->
    Places = [Place || {Place, _, _, _} <- Stuck],
    Longest = now_millis() - lists:min([Since || {_, _, Since, _} <- Stuck]),
    Schedulers =
        case [Place || Place <- Places, is_integer(Place)] of
            [] -> [];
            [Number] -> [io_lib:format("scheduler ~b", [Number])];
            Numbers -> [io_lib:format("~b of ~b", [length(Numbers), erlang:system_info(schedulers_online)])]
        end,
    Pools =
        [Text || {Pool, Text} <- [{dirty_cpu, "the dirty CPU pool"}, {dirty_io, "the dirty IO pool"}],
            lists:member(Pool, Places)],
    Names = lists:join(", ", Schedulers ++ Pools),
    Have = case Places of [_] -> "has"; _ -> "have" end,
    io_lib:format(": ~ts ~ts not run anything for ~b ms", [Names, Have, Longest]).
