%% @private
%% Processes that are bound to a scheduler. One that gets a message has its scheduler run; and when that finds nothing
%% else to do, it takes the work of one that is stuck.
-module(systemd_scheduler).

-export([start_links/0, start/2, online/0, busy/0, spawn_on/2, not_answering/1]).
-export([wait/1, woken/2]).

%% How long to look for processes that do not answer, and how long one has to answer, in milliseconds.
-define(LONGEST_SEARCH, 1000).
-define(LONGEST_ANSWER, 50).

%% @doc One for each scheduler, in their order, also of those that are not online. Each waits for {@link start/2}.
-spec start_links() -> {ok, [pid(), ...]} | {error, eagain}.
start_links() -> start_links(erlang:system_info(schedulers), []).

start_links(0, Bound) ->
    {ok, Bound};
start_links(Number, Bound) ->
    try spawn_opt(?MODULE, wait, [Number], [link, {priority, high}, bound_to(Number)]) of
        Pid -> start_links(Number - 1, [Pid | Bound])
    catch
        %% There may be a process in a moment, as with threads.
        error:system_limit ->
            _ = [exit(Pid, kill) || Pid <- Bound],
            {error, eagain}
    end.

%% @doc From now on each tells the thread when it was woken.
-spec start([pid()], systemd_nif:watchdog()) -> ok.
start(Bound, Watchdog) -> lists:foreach(fun(Pid) -> Pid ! {watchdog, Watchdog} end, Bound).

-spec wait(Number :: pos_integer()) -> no_return().
wait(Number) ->
    receive {watchdog, Watchdog} -> woken(Number, Watchdog) end.

%% In hibernation no version of this module is in use.
-spec woken(Number :: pos_integer(), systemd_nif:watchdog()) -> no_return().
woken(Number, Watchdog) ->
    receive _ -> woken(Number, Watchdog)
    after 0 ->
        %% Of another copy of the native library.
        try systemd_nif:watchdog_ran(Watchdog, Number)
        catch error:badarg -> exit(normal)
        end,
        erlang:hibernate(?MODULE, woken, [Number, Watchdog])
    end.

%% @doc So many of them, by their numbers, are to run what they are given: none while multi-scheduling is blocked.
-spec online() -> non_neg_integer().
online() ->
    Blockers = [multi_scheduling_blockers, normal_multi_scheduling_blockers],
    case lists:all(fun(Item) -> erlang:system_info(Item) =:= [] end, Blockers) of
        true -> erlang:system_info(schedulers_online);
        false -> 0
    end.

%% @doc The numbers of those that have something to run, or run it, apart from that of the caller.
-spec busy() -> [pos_integer()].
busy() ->
    Active = erlang:statistics(active_tasks),
    Numbered = lists:zip(lists:seq(1, length(Active)), Active),
    [Number || {Number, Tasks} <- Numbered, Tasks > 0, Number =/= erlang:system_info(scheduler_id)].

%% @doc With a monitor, and before the many that may be waiting.
-spec spawn_on(Scheduler :: pos_integer(), fun(() -> term())) -> {pid(), reference()}.
spawn_on(Scheduler, Fun) -> {_, _} = spawn_opt(Fun, [monitor, {priority, high}, bound_to(Scheduler)]).

%% An option that OTP's own tests use, and that is not documented. Dialyzer would take it for a mistake.
bound_to(Scheduler) -> list_to_tuple([scheduler, Scheduler]).

%% @doc The processes that are long in native code, by pid and name, without those that are bound to a scheduler.
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
