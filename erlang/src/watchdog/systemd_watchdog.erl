%% @private
%% Answers the native watchdog thread with the result of the config key `watchdog_check', see {@link systemd_check}.
-module(systemd_watchdog).
-behaviour(gen_server).

-export([open/2, start_link/1, timeout/0, info/0, enable/0, disable/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% The time between two attempts to start the thread, in milliseconds.
-define(RETRY, 100).
%% How often order/2 tries again while this process restarts, every 10 ms.
-define(TRIES, 100).
%% How long systemd waits for a crash dump, in milliseconds.
-define(LONGEST_DUMP, 600000).

-record(state, {
    usec :: pos_integer(),
    %% `none' while it can't be started. The thread ends when this process ends.
    thread = none :: none | systemd_nif:watchdog(),
    %% One process on each scheduler, which the thread wakes.
    bound = [] :: [pid()],
    %% The VM has restarted in place, and systemd's timeout is still the one for the restart.
    timeout_raised :: boolean(),
    %% In monotonic milliseconds. Until then, if the service is not ready, a check that fails is not logged.
    starting_until :: integer(),
    %% Whether that was so when the check began.
    was_starting = true :: boolean(),
    %% The configured term, and the check that was made from it.
    check = {undefined, []} :: {Configured :: term(), systemd_check_run:prepared()},
    checking = none :: none | {Tick :: pos_integer(), Run :: pid(), Since :: integer()},
    failing = none :: none | {Check :: term()}
}).

%% A row in a public table, for processes that must not wait for this one. Times are monotonic milliseconds.
-record(info, {
    key = info,
    usec :: pos_integer(),
    warn_after :: pos_integer(),
    %% `other_process': systemd expects pings from another process, and there is no child.
    enabled :: boolean() | other_process,
    asked = none :: none | integer(),
    answered = none :: none | integer(),
    duration = never :: never | non_neg_integer(),
    result = not_checked :: ok | not_checked | unicode:unicode_binary()
}).

%% @doc The child, if systemd expects pings from this process. Also makes the table, which belongs to the caller, so
%% that a disabled watchdog stays disabled when the child restarts.
-spec open(Usec :: pos_integer(), IsOwn :: boolean()) -> [supervisor:child_spec()].
open(Usec, IsOwn) ->
    WarnAfter = case systemd_config:value(watchdog_warn_after) of undefined -> half(Usec); Millis -> Millis end,
    ?MODULE = ets:new(?MODULE, [named_table, public, {keypos, #info.key}]),
    Enabled = IsOwn orelse other_process,
    true = ets:insert(?MODULE, #info{usec = Usec, warn_after = WarnAfter, enabled = Enabled}),
    [child_spec(Usec) || IsOwn].

child_spec(Usec) -> #{id => ?MODULE, start => {?MODULE, start_link, [Usec]}}.

half(Usec) -> max(1, Usec div 2000).

start_link(Usec) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Usec, []).

%% @doc Milliseconds, or `false' when the watchdog is off.
-spec timeout() -> pos_integer() | false.
timeout() ->
    case info() of
        #{enabled := true, timeout := Timeout} -> Timeout;
        _ -> false
    end.

%% @doc `false' if no watchdog runs.
-spec info() -> false | systemd:watchdog_info().
info() ->
    try ets:lookup(?MODULE, info) of
        [#info{enabled = other_process}] ->
            false;
        [#info{asked = Asked, answered = Answered} = Info] ->
            #{
                timeout => max(1, Info#info.usec div 1000),
                enabled => Info#info.enabled,
                last_answer => ago(Answered, 0, never),
                last_result => Info#info.result,
                last_duration => Info#info.duration,
                overdue => ago(Asked, Info#info.warn_after, false)
            }
    catch
        error:badarg -> false
    end.

ago(none, _, Otherwise) ->
    Otherwise;
ago(When, Least, Otherwise) ->
    case now_millis() - When of
        Millis when Millis >= Least -> Millis;
        _ -> Otherwise
    end.

-spec read_info(Element :: pos_integer()) -> term().
read_info(Element) -> ets:lookup_element(?MODULE, info, Element).

update_info(Elements) ->
    true = ets:update_element(?MODULE, info, Elements),
    ok.

enable() -> order(enable).

%% If another process pings, there is nothing to disable here.
disable() ->
    try read_info(#info.enabled) of
        other_process -> ok;
        _ -> order(disable)
    catch
        error:badarg -> ok
    end.

%% Returns `ok' even if there is no watchdog.
order(Order) -> order(Order, ?TRIES).

order(Order, Tries) ->
    try gen_server:call(?MODULE, Order, infinity)
    catch
        exit:_ ->
            case Tries > 0 andalso ets:whereis(?MODULE) =/= undefined of
                true -> start_child(), order(Order, Tries - 1);
                false -> ok
            end
    end.

%% Starts the child, or waits if the supervisor is restarting it.
start_child() ->
    try {ok, _} = supervisor:start_child(systemd_sup, child_spec(read_info(#info.usec))), ok
    catch _:_ -> timer:sleep(10)
    end.

init(Usec) ->
    process_flag(trap_exit, true),
    process_flag(priority, high),
    load_code(),
    systemd_lifecycle:set_watchdog_timeout(Usec),
    update_info([{#info.asked, none}, {#info.enabled, read_info(#info.enabled) =:= true}]),
    TimeoutRaised = systemd_lifecycle:is_watchdog_timeout_raised(),
    {ok, start(#state{usec = Usec, timeout_raised = TimeoutRaised, starting_until = now_millis() + half(Usec)})}.

%% While a scheduler is stuck the VM loads no code, so the code that reports this must be loaded before.
load_code() ->
    {ok, Modules} = application:get_key(systemd, modules),
    _ = code:ensure_modules_loaded([io_lib, io_lib_format, io_lib_pretty, string, unicode_util | Modules]),
    ok.

%% If processes, threads or memory are short, another attempt may succeed.
start(#state{bound = []} = State) ->
    case systemd_scheduler:start_links() of
        {ok, Bound} -> start(State#state{bound = Bound});
        {error, Reason} -> not_started(Reason, State)
    end;
start(#state{bound = Bound} = State) ->
    case systemd_notify:with_notifier(absent, fun(Notifier) -> start(Notifier, State) end) of
        {ok, Watchdog} ->
            systemd_scheduler:start(Bound, Watchdog),
            Started = State#state{thread = Watchdog},
            read_info(#info.enabled) orelse give_order(disable, Started),
            Started;
        absent ->
            State;
        {error, Reason} ->
            not_started(Reason, State)
    end.

not_started(Reason, State) ->
    systemd_log:once(
        {?MODULE, start}, error, "systemd: the watchdog's thread could not be started, so there are no pings yet: ~ts",
        [systemd_reason:explain_start(Reason)]
    ),
    _ = erlang:send_after(?RETRY, self(), start),
    State.

start(Notifier, #state{usec = Usec, bound = Bound}) ->
    Interval = max(1, Usec div systemd_config:value(watchdog_scale)),
    OnHang = systemd_config:value(watchdog_on_hang),
    systemd_nif:watchdog_start(Notifier, Bound, Usec, Interval, 1000 * read_info(#info.warn_after), OnHang).

handle_call(Order, _, State) when Order =:= enable; Order =:= disable ->
    update_info([{#info.enabled, Order =:= enable}, {#info.asked, none}]),
    give_order(Order, State),
    {reply, ok, case Order of enable -> State; disable -> disabled(State) end};
handle_call(_, _, State) ->
    {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

disabled(State) -> reset_watchdog_timeout((end_check(State))#state{failing = none}).

give_order(Order, State) ->
    with_thread(fun(Watchdog) -> systemd_nif:watchdog_order(Watchdog, Order) end, State).

%% If another copy of the native library has made the thread, this process restarts. The old thread ends before it takes
%% the silence for a stall.
with_thread(_, #state{thread = none}) ->
    ok;
with_thread(Fun, #state{thread = Watchdog}) ->
    try Fun(Watchdog)
    catch error:badarg -> systemd_sup:restart_child(?MODULE)
    end.

%% Errors are ignored: a new copy of the native library does not know the thread.
ignore_errors(Fun) ->
    try _ = Fun(), ok
    catch error:_ -> ok
    end.

%% Whoever disables the watchdog pings by hand, at the interval of the unit.
reset_watchdog_timeout(#state{timeout_raised = true, usec = Usec} = State) ->
    State#state{timeout_raised = systemd_lifecycle:reset_watchdog_timeout(Usec) =/= ok};
reset_watchdog_timeout(State) ->
    State.

handle_info({systemd_watchdog, tick, Tick}, State) ->
    {noreply, case read_info(#info.enabled) of true -> ticked(Tick, State); false -> State end};
handle_info({'EXIT', Run, Reason}, #state{checking = {Tick, Run, _}} = State) ->
    Checked = State#state{checking = none},
    case systemd_function:outcome(Reason) of
        {returned, Result} ->
            {noreply, answer(Tick, Result, Checked)};
        Failure ->
            {Format, Args} = systemd_function:describe(Failure),
            Text = ["the check ", systemd_function:summary(Failure), ", see the log"],
            {noreply, answer(Tick, {failed, ended, Text, io_lib:format("the check " ++ Format, Args)}, Checked)}
    end;
handle_info({systemd_watchdog, What, Tick}, #state{checking = {Tick, Run, Since}} = State) when
    What =:= overdue; What =:= hangs
->
    %% After a stall of the whole VM the check has only just begun.
    _ = 2 * (now_millis() - Since) >= read_info(#info.warn_after) andalso late(What, Run, State),
    {noreply, State};
handle_info({systemd_watchdog, stuck, _}, #state{thread = Watchdog, bound = Bound} = State) ->
    Find = fun() ->
        Found = systemd_scheduler:not_answering(Bound ++ systemd_check_schedulers:jobs(?MODULE)),
        ignore_errors(fun() -> systemd_nif:watchdog_found(Watchdog, unicode:characters_to_binary(Found)) end)
    end,
    _ = try spawn(Find)
        catch error:system_limit -> not_found
        end,
    {noreply, State};
handle_info({systemd_watchdog, ping_failed, Reason}, State) ->
    Why = systemd_reason:explain(Reason),
    systemd_log:once({?MODULE, Reason}, error, "systemd: notification WATCHDOG=1 failed: ~ts", [Why]),
    {noreply, State};
handle_info(start, #state{thread = none} = State) ->
    {noreply, start(State)};
handle_info({'EXIT', Pid, _}, #state{bound = Bound} = State) ->
    _ = lists:member(Pid, Bound) andalso systemd_sup:restart_child(?MODULE),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, State) -> end_check(State).

end_check(#state{checking = {_, Run, _}} = State) ->
    systemd_function:stop(Run),
    State#state{checking = none};
end_check(State) ->
    State.

ticked(Tick, State) ->
    update_info([{#info.asked, now_millis()}]),
    RunQueues = erlang:statistics(run_queue_lengths_all),
    {Online, Busy} = {systemd_scheduler:online(), systemd_scheduler:busy()},
    with_thread(fun(Watchdog) -> systemd_nif:watchdog_take_up(Watchdog, Tick, RunQueues, Online, Busy) end, State),
    Asked = prepared(State#state{was_starting = is_starting(State)}),
    %% While the service stops, the processes under check stop one after the other.
    case {systemd_lifecycle:is_going_down(), Asked} of
        {true, _} -> skip_check(Tick, Asked);
        {false, #state{check = {undefined, _}}} -> answer(Tick, true, Asked);
        {false, _} -> check(Tick, Asked)
    end.

prepared(#state{check = {Before, _}} = State) ->
    case systemd_config:function(watchdog_check) of
        Before -> State;
        Check -> State#state{check = {Check, systemd_check_run:prepare(Check)}}
    end.

check(Tick, #state{thread = Watchdog, check = {_, Check}} = State) ->
    Progress = fun(What) ->
        ignore_errors(fun() -> systemd_nif:watchdog_checking(Watchdog, Tick, unicode:characters_to_binary(What)) end)
    end,
    Function = {systemd_check_run, run, [Check, ?MODULE, Progress]},
    Run = systemd_function:start_link(watchdog_check, Function, #{priority => high}),
    State#state{checking = {Tick, Run, now_millis()}}.

late(What, Run, #state{thread = Watchdog}) ->
    case systemd_lifecycle:is_going_down() orelse What of
        true -> systemd_function:stop(Run);
        overdue -> systemd_function:log_where(Run);
        hangs -> dump(systemd_config:value(watchdog_crash_dump), Watchdog)
    end.

%% Ends the VM with a crash dump at that path. Raises systemd's watchdog timeout to the time that the dump takes.
dump(undefined, _) ->
    ok;
dump(Path, Watchdog) ->
    %% This comes first, because a path that is not text must fail before the watchdog's thread stops.
    true = os:putenv("ERL_CRASH_DUMP", unicode:characters_to_list(Path)),
    %% Writes the dump even if the unit disables crash dumps.
    true = os:putenv("ERL_CRASH_DUMP_SECONDS", "-1"),
    ignore_errors(fun() -> systemd_nif:watchdog_order(Watchdog, stop) end),
    _ = systemd_notify:send([
        {status, ["watchdog: writing the crash dump ", Path]} | systemd_lifecycle:raised_watchdog_timeout(?LONGEST_DUMP)
    ]),
    erlang:halt("systemd: watchdog_check hangs").

answer(Tick, Result, State) ->
    case systemd_lifecycle:is_going_down() of
        true -> skip_check(Tick, State);
        false -> checked(Tick, Result, State)
    end.

%% While the service stops, the watchdog pings without a check, and the last result stays.
skip_check(Tick, State) -> finish(Tick, true, [], State).

checked(Tick, Result, #state{failing = Before, was_starting = WasStarting} = State) ->
    {Failing, Noted} =
        case Result of
            true -> {none, ok};
            {failed, Check, Failed, _} -> {{Check}, unicode:characters_to_binary(Failed)}
        end,
    Changed = Failing =/= Before andalso not WasStarting,
    _ = Changed andalso report(Result),
    Answer = case Noted of ok -> true; Text when Changed -> Text; _ -> false end,
    Told = case Changed of true -> State#state{failing = Failing}; false -> State end,
    finish(Tick, Answer, [{#info.result, Noted}], Told).

finish(Tick, Answer, Noted, State) ->
    Now = now_millis(),
    Duration = case read_info(#info.asked) of none -> never; Asked -> Now - Asked end,
    update_info([{#info.asked, none}, {#info.answered, Now}, {#info.duration, Duration} | Noted]),
    with_thread(fun(Watchdog) -> systemd_nif:watchdog_answer(Watchdog, Tick, Answer) end, State),
    case State#state.timeout_raised andalso systemd_notify:has_announced(ready) of
        true -> reset_watchdog_timeout(State);
        false -> State
    end.

%% The processes under check start after this application.
is_starting(#state{starting_until = StartingUntil}) ->
    now_millis() < StartingUntil andalso not systemd_notify:has_announced(ready).

now_millis() -> erlang:monotonic_time(millisecond).

report(true) ->
    systemd_log:say(notice, "systemd: watchdog_check: passes again", []);
report({failed, _, _, Log}) ->
    systemd_log:say(error, "systemd: watchdog_check: ~ts. No ping until it passes; systemd ends the service after WatchdogSec=", [Log]).
