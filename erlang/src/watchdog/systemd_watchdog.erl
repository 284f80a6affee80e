%% @private
%% Answers the native watchdog thread, on the word of the config key `watchdog_check', see {@link systemd_check}.
-module(systemd_watchdog).
-behaviour(gen_server).

-export([open/2, start_link/1, timeout/0, info/0, enable/0, disable/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% Between two tries to start the thread, in milliseconds.
-define(RETRY, 100).
%% How often an order is given while this process is started anew, every 10 ms.
-define(TRIES, 100).
%% How long the manager waits for a crash dump, in milliseconds.
-define(LONGEST_DUMP, 600000).

-record(state, {
    usec :: pos_integer(),
    %% None while it can't be started. It ends with this process.
    thread = none :: none | systemd_nif:watchdog(),
    %% A process on each scheduler, which the thread wakes.
    bound = [] :: [pid()],
    %% The VM was restarted in place, and the manager's timeout is still that for the restart.
    unwatched :: boolean(),
    %% Monotonic milliseconds: a service that is not ready before may fail its check quietly.
    quiet_until :: integer(),
    %% As it was when the check was begun.
    is_quiet = true :: boolean(),
    %% As it is configured, and what it is for systemd_check.
    check = {undefined, []} :: {Configured :: term(), systemd_check_run:prepared()},
    checking = none :: none | {Tick :: pos_integer(), Run :: pid(), Since :: integer()},
    failing = none :: none | {Check :: term()}
}).

%% For those who must not wait for this process: a row in the table of that name. Times are monotonic milliseconds.
-record(info, {
    key = info,
    usec :: pos_integer(),
    warn_after :: pos_integer(),
    %% Another's while the manager expects pings of another process, and no child runs.
    enabled :: boolean() | anothers,
    asked = none :: none | integer(),
    answered = none :: none | integer(),
    duration = never :: never | non_neg_integer(),
    result = not_checked :: ok | not_checked | unicode:unicode_binary()
}).

%% @doc The child, where the manager expects pings of this process; and the table, which belongs to the caller: what was
%% disabled stays so in the child's next life.
-spec open(Usec :: pos_integer(), IsOurs :: boolean()) -> [supervisor:child_spec()].
open(Usec, IsOurs) ->
    WarnAfter = case systemd_config:value(watchdog_warn_after) of undefined -> half(Usec); Millis -> Millis end,
    ?MODULE = ets:new(?MODULE, [named_table, public, {keypos, #info.key}]),
    Enabled = IsOurs orelse anothers,
    true = ets:insert(?MODULE, #info{usec = Usec, warn_after = WarnAfter, enabled = Enabled}),
    [child_spec(Usec) || IsOurs].

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

%% @doc `false' where no watchdog runs.
-spec info() -> false | systemd:watchdog_info().
info() ->
    try ets:lookup(?MODULE, info) of
        [#info{enabled = anothers}] ->
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

-spec noted(Element :: pos_integer()) -> term().
noted(Element) -> ets:lookup_element(?MODULE, info, Element).

note(Elements) ->
    true = ets:update_element(?MODULE, info, Elements),
    ok.

enable() -> order(enable).

%% Another process's needs no process here to be disabled.
disable() ->
    try noted(#info.enabled) of
        anothers -> ok;
        _ -> order(disable)
    catch
        error:badarg -> ok
    end.

%% Where there is no watchdog, too.
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

%% Unless it is being started anew.
start_child() ->
    try {ok, _} = supervisor:start_child(systemd_sup, child_spec(noted(#info.usec))), ok
    catch _:_ -> timer:sleep(10)
    end.

init(Usec) ->
    process_flag(trap_exit, true),
    process_flag(priority, high),
    load_code(),
    systemd_lifecycle:watched(Usec),
    note([{#info.asked, none}, {#info.enabled, noted(#info.enabled) =:= true}]),
    Unwatched = systemd_lifecycle:is_unwatched(),
    {ok, start(#state{usec = Usec, unwatched = Unwatched, quiet_until = now_millis() + half(Usec)})}.

%% While a scheduler is stuck the VM loads no code: what tells of that has to be there before.
load_code() ->
    {ok, Modules} = application:get_key(systemd, modules),
    _ = code:ensure_modules_loaded([io_lib, io_lib_format, io_lib_pretty, string, unicode_util | Modules]),
    ok.

%% What it takes to start the thread may be there in a moment.
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
            noted(#info.enabled) orelse tell(fun(Thread) -> systemd_nif:watchdog_order(Thread, disable) end, Started),
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
    systemd_nif:watchdog_start(Notifier, Bound, Usec, Interval, 1000 * noted(#info.warn_after), OnHang).

handle_call(Order, _, State) when Order =:= enable; Order =:= disable ->
    note([{#info.enabled, Order =:= enable}, {#info.asked, none}]),
    tell(fun(Watchdog) -> systemd_nif:watchdog_order(Watchdog, Order) end, State),
    {reply, ok, case Order of enable -> State; disable -> watched_again((end_check(State))#state{failing = none}) end};
handle_call(_, _, State) ->
    {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

%% A thread of another copy of the native library ends before it takes the silence for a stall.
tell(_, #state{thread = none}) ->
    ok;
tell(Fun, #state{thread = Watchdog}) ->
    try Fun(Watchdog)
    catch error:badarg -> systemd_sup:start_anew(?MODULE)
    end.

%% A new copy of the native library doesn't know the thread.
tell_known(Fun) ->
    try _ = Fun(), ok
    catch error:_ -> ok
    end.

%% Who has disabled the watchdog has to know how often to ping.
watched_again(#state{unwatched = true, usec = Usec} = State) ->
    State#state{unwatched = systemd_lifecycle:watched_again(Usec) =/= ok};
watched_again(State) ->
    State.

handle_info({systemd_watchdog, tick, Tick}, State) ->
    {noreply, case noted(#info.enabled) of true -> asked(Tick, State); false -> State end};
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
    _ = 2 * (now_millis() - Since) >= noted(#info.warn_after) andalso late(What, Run, State),
    {noreply, State};
handle_info({systemd_watchdog, stuck, _}, #state{thread = Watchdog, bound = Bound} = State) ->
    Find = fun() ->
        Found = systemd_scheduler:not_answering(Bound ++ systemd_check_schedulers:jobs(?MODULE)),
        tell_known(fun() -> systemd_nif:watchdog_found(Watchdog, unicode:characters_to_binary(Found)) end)
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
    _ = lists:member(Pid, Bound) andalso systemd_sup:start_anew(?MODULE),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, State) -> end_check(State).

end_check(#state{checking = {_, Run, _}} = State) ->
    systemd_function:stop(Run),
    State#state{checking = none};
end_check(State) ->
    State.

asked(Tick, State) ->
    note([{#info.asked, now_millis()}]),
    RunQueues = erlang:statistics(run_queue_lengths_all),
    {Online, Busy} = {systemd_scheduler:online(), systemd_scheduler:busy()},
    tell(fun(Watchdog) -> systemd_nif:watchdog_take_up(Watchdog, Tick, RunQueues, Online, Busy) end, State),
    Asked = prepared(State#state{is_quiet = is_starting(State)}),
    %% What the check looks at goes down one after the other when the service does.
    case {systemd_lifecycle:is_going_down(), Asked} of
        {true, _} -> unasked(Tick, Asked);
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
        tell_known(fun() -> systemd_nif:watchdog_checking(Watchdog, Tick, unicode:characters_to_binary(What)) end)
    end,
    Function = {systemd_check_run, run, [Check, ?MODULE, Progress]},
    Run = systemd_function:start_link(watchdog_check, Function, #{priority => high}),
    State#state{checking = {Tick, Run, now_millis()}}.

late(What, Run, #state{thread = Watchdog}) ->
    case systemd_lifecycle:is_going_down() orelse What of
        true -> systemd_function:stop(Run);
        overdue -> systemd_function:tell_where(Run);
        hangs -> dump(systemd_config:value(watchdog_crash_dump), Watchdog)
    end.

%% Ends the VM with a crash dump at that path. The manager gets the time that it takes.
dump(undefined, _) ->
    ok;
dump(Path, Watchdog) ->
    %% First, because what fails must not take the manager's patience.
    true = os:putenv("ERL_CRASH_DUMP", unicode:characters_to_list(Path)),
    %% Also where other crashes have none.
    true = os:putenv("ERL_CRASH_DUMP_SECONDS", "-1"),
    tell_known(fun() -> systemd_nif:watchdog_order(Watchdog, stop) end),
    _ = systemd_notify:send([
        {status, ["watchdog: writing the crash dump ", Path]} | systemd_lifecycle:unwatched(?LONGEST_DUMP)
    ]),
    erlang:halt("systemd: watchdog_check hangs").

answer(Tick, Result, State) ->
    case systemd_lifecycle:is_going_down() of
        true -> unasked(Tick, State);
        false -> checked(Tick, Result, State)
    end.

%% A service that goes down is watched, and not checked: nothing is known of what it was said to lack.
unasked(Tick, State) -> told(Tick, true, [], State).

checked(Tick, Result, #state{failing = Before, is_quiet = IsQuiet} = State) ->
    {Failing, Noted} =
        case Result of
            true -> {none, ok};
            {failed, Check, Failed, _} -> {{Check}, unicode:characters_to_binary(Failed)}
        end,
    News = Failing =/= Before andalso not IsQuiet,
    _ = News andalso report(Result),
    Answer = case Noted of ok -> true; Text when News -> Text; _ -> false end,
    Told = case News of true -> State#state{failing = Failing}; false -> State end,
    told(Tick, Answer, [{#info.result, Noted}], Told).

told(Tick, Answer, Noted, State) ->
    Now = now_millis(),
    Duration = case noted(#info.asked) of none -> never; Asked -> Now - Asked end,
    note([{#info.asked, none}, {#info.answered, Now}, {#info.duration, Duration} | Noted]),
    tell(fun(Watchdog) -> systemd_nif:watchdog_answer(Watchdog, Tick, Answer) end, State),
    case State#state.unwatched andalso systemd_notify:has_announced(ready) of
        true -> watched_again(State);
        false -> State
    end.

%% What the check looks at comes up after this application.
is_starting(#state{quiet_until = QuietUntil}) ->
    now_millis() < QuietUntil andalso not systemd_notify:has_announced(ready).

now_millis() -> erlang:monotonic_time(millisecond).

report(true) ->
    systemd_log:say(notice, "systemd: watchdog_check: passes again", []);
report({failed, _, _, Log}) ->
    systemd_log:say(error, "systemd: watchdog_check: ~ts. No ping until it passes; systemd ends the service after WatchdogSec=", [Log]).
