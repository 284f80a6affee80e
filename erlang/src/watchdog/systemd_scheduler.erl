%% @private
%% Processes that are bound to a scheduler. A message to one makes its scheduler run. If that scheduler finds nothing
%% else to do, it takes work from a scheduler that is stuck.
-module(systemd_scheduler).

-export([start_links/0, start/2, online/0, busy/0, spawn_on/2, not_answering/1]).
-export([wait/1, woken/2]).

%% How long to search for processes that do not answer, and how long one may take to answer, in milliseconds.
-define(LONGEST_SEARCH, 1000).
-define(LONGEST_ANSWER, 50).

%% @doc Starts one process for each scheduler, in their order, also for those offline. Each waits for {@link start/2}.
-spec start_links() -> {ok, [pid(), ...]} | {error, eagain}.
start_links() -> start_links(erlang:system_info(schedulers), []).

start_links(0, Bound) ->
    {ok, Bound};
start_links(Number, Bound) ->
    try spawn_opt(?MODULE, wait, [Number], [link, {priority, high}, bound_to(Number)]) of
        Pid -> start_links(Number - 1, [Pid | Bound])
    catch
        %% Another attempt may succeed, as with threads.
        error:system_limit ->
            _ = [exit(Pid, kill) || Pid <- Bound],
            {error, eagain}
    end.

%% @doc From now on, each process reports to the thread when it was woken.
-spec start([pid()], systemd_nif:watchdog()) -> ok.
start(Bound, Watchdog) -> lists:foreach(fun(Pid) -> Pid ! {watchdog, Watchdog} end, Bound).

-spec wait(Number :: pos_integer()) -> no_return().
wait(Number) ->
    receive {watchdog, Watchdog} -> woken(Number, Watchdog) end.

%% A process in hibernation uses no version of this module, so that a new one can be loaded.
-spec woken(Number :: pos_integer(), systemd_nif:watchdog()) -> no_return().
woken(Number, Watchdog) ->
    receive _ -> woken(Number, Watchdog)
    after 0 ->
        %% Another copy of the native library has made the resource.
        try systemd_nif:watchdog_ran(Watchdog, Number)
        catch error:badarg -> exit(normal)
        end,
        erlang:hibernate(?MODULE, woken, [Number, Watchdog])
    end.

%% @doc How many schedulers, beginning with number 1, have to run what they are given: 0 while multi-scheduling is
%% blocked.
-spec online() -> non_neg_integer().
online() ->
    Blockers = [multi_scheduling_blockers, normal_multi_scheduling_blockers],
    case lists:all(fun(Item) -> erlang:system_info(Item) =:= [] end, Blockers) of
        true -> erlang:system_info(schedulers_online);
        false -> 0
    end.

%% @doc The numbers of the schedulers that run something or have something to run, without the caller's scheduler.
-spec busy() -> [pos_integer()].
busy() ->
    Active = erlang:statistics(active_tasks),
    Numbered = lists:zip(lists:seq(1, length(Active)), Active),
    [Number || {Number, Tasks} <- Numbered, Tasks > 0, Number =/= erlang:system_info(scheduler_id)].

%% @doc Starts a process on a scheduler, with a monitor. It runs before waiting processes of normal priority.
-spec spawn_on(Scheduler :: pos_integer(), fun(() -> term())) -> {pid(), reference()}.
spawn_on(Scheduler, Fun) -> {_, _} = spawn_opt(Fun, [monitor, {priority, high}, bound_to(Scheduler)]).

%% An undocumented option, which OTP's own tests use. Dialyzer would report it as a mistake.
bound_to(Scheduler) -> list_to_tuple([scheduler, Scheduler]).

%% @doc The pids and names of the processes that are in a long native call, without the bound ones.
-spec not_answering([pid()]) -> unicode:chardata().
not_answering(Bound) ->
    Deadline = systemd_wait:deadline(?LONGEST_SEARCH),
    IsLate = fun(Pid) ->
        systemd_wait:rest(Deadline) > 0 andalso systemd_wait:process_info(Pid, status, ?LONGEST_ANSWER) =:= late
    end,
    case lists:filter(IsLate, processes() -- Bound) of
        [] -> "unknown";
        Found -> lists:join(", ", lists:map(fun name/1, Found))
    end.

name(Pid) ->
    case [Name || Name <- registered(), whereis(Name) =:= Pid] of
        [] -> pid_to_list(Pid);
        [Name | _] -> io_lib:format("~ts (~ts)", [pid_to_list(Pid), systemd_check:name_of(Name)])
    end.
