%% @private
%% Answers the native watchdog thread, on the word of the config key `watchdog_check', see {@link systemd_check}.
-module(systemd_watchdog).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, timeout/0, enable/0, disable/0]).
-export([bridge/1, bridged/0, forget/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(SCALE, 10).
%% Between two tries to start the thread, in milliseconds.
-define(RETRY, 100).

-record(state, {
    %% None while it can't be started.
    thread = none :: none | {Owner :: pid(), systemd_nif:watchdog()},
    usec :: pos_integer(),
    %% Milliseconds.
    warn_after :: pos_integer(),
    enabled = true :: boolean(),
    %% The VM was restarted in place, and the manager's timeout is still that for the restart.
    bridged = false :: boolean(),
    %% Monotonic milliseconds: a service that is not ready before may fail its check quietly.
    quiet_until :: integer(),
    %% As it was when the check was begun.
    is_quiet = true :: boolean(),
    checking = none :: none | {Tick :: pos_integer(), Runner :: pid(), Since :: integer()},
    %% What the checks want to know next time.
    memory = #{} :: systemd_check:memory(),
    failing = none :: none | {Check :: term()}
}).

-spec child_spec(Usec :: pos_integer()) -> supervisor:child_spec().
child_spec(Usec) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Usec]}}.

start_link(Usec) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Usec, []).

%% @doc Milliseconds, or `false' when the watchdog is off.
-spec timeout() -> pos_integer() | false.
timeout() ->
    case systemd_watchdog_info:read() of
        #{enabled := true, timeout := Timeout} -> Timeout;
        _ -> false
    end.

-spec enable() -> ok.
enable() -> call(enable, ok).

-spec disable() -> ok.
disable() -> call(disable, ok).

%% @doc The states that give a VM which restarts so many milliseconds at least. Nobody pings on the way.
-spec bridge(Millis :: pos_integer()) -> [systemd:state()].
bridge(Millis) ->
    case persistent_term:get(?MODULE, none) of
        none -> [];
        Usec -> [{watchdog_usec, max(Usec, Millis * 1000)}]
    end.

%% A variable of the environment, because the VM that comes after the restart has nothing else of ours.
-define(BRIDGED, "SYSTEMD_WATCHDOG_BRIDGED").

%% @doc Has the next VM set back what {@link bridge/1} has set, when the service is ready.
-spec bridged() -> ok.
bridged() ->
    os:putenv(?BRIDGED, "1"),
    ok.

-spec forget() -> ok.
forget() ->
    _ = persistent_term:erase(?MODULE),
    ok.

call(Request, WithoutWatchdog) ->
    try gen_server:call(?MODULE, Request, infinity)
    catch exit:_ -> WithoutWatchdog
    end.

init(Usec) ->
    process_flag(trap_exit, true),
    process_flag(priority, high),
    load_code(),
    persistent_term:put(?MODULE, Usec),
    Half = max(1, Usec div 2000),
    WarnAfter = systemd_config:value(watchdog_warn_after, Half),
    systemd_watchdog_info:open(max(1, Usec div 1000), WarnAfter),
    State = #state{
        usec = Usec,
        warn_after = WarnAfter,
        quiet_until = now_millis() + Half,
        bridged = os:getenv(?BRIDGED) =/= false
    },
    {ok, start(State)}.

%% While a scheduler is stuck the VM loads no code: what tells of that has to be there before.
load_code() ->
    {ok, Modules} = application:get_key(systemd, modules),
    _ = code:ensure_modules_loaded([io_lib, io_lib_format, io_lib_pretty, string, unicode_util | Modules]),
    ok.

%% What it takes to start the thread may be there in a moment.
start(State) ->
    case systemd_notify:with_notifier(fun(Notifier) -> start(Notifier, State) end) of
        {ok, {_, Watchdog} = Thread} ->
            State#state.enabled orelse systemd_nif:watchdog_order(Watchdog, disable),
            State#state{thread = Thread};
        undefined ->
            State;
        {error, Reason} ->
            systemd_log:once(
                {watchdog, start}, error, "systemd: the watchdog's thread can't be started yet, and nothing pings: ~ts",
                [systemd_reason:explain_start(Reason)]
            ),
            _ = erlang:send_after(?RETRY, self(), start),
            State
    end.

start(Notifier, #state{usec = Usec, warn_after = WarnAfter}) ->
    Interval = max(1, Usec div systemd_config:value(watchdog_scale, ?SCALE)),
    OnHang = systemd_config:value(watchdog_on_hang, withhold),
    systemd_owner:start_link(fun(Owner) ->
        systemd_nif:watchdog_start(Notifier, Owner, Usec, Interval, 1000 * WarnAfter, OnHang)
    end).

handle_call(enable, _, State) ->
    systemd_watchdog_info:enabled(true),
    {reply, ok, tell(order(enable), State#state{enabled = true})};
handle_call(disable, _, State) ->
    systemd_watchdog_info:enabled(false),
    Quiet = (end_check(State))#state{enabled = false, failing = none},
    {reply, ok, cross(tell(order(disable), Quiet))};
handle_call(_, _, State) ->
    {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

%% Another copy of the native library may have taken the place of the one that runs the thread.
tell(_, #state{thread = none} = State) ->
    State;
tell(Fun, #state{thread = {Owner, Watchdog}} = State) ->
    try Fun(Watchdog) of
        ok -> State
    catch
        error:badarg ->
            %% Before it takes the silence for a stall.
            systemd_owner:stop(Owner),
            start((end_check(State))#state{thread = none, failing = none})
    end.

order(What) -> fun(Watchdog) -> systemd_nif:watchdog_order(Watchdog, What) end.

%% Sets the manager's timeout back: who has disabled the watchdog has to know how often to ping.
cross(#state{bridged = true, usec = Usec} = State) ->
    case systemd_notify:send({watchdog_usec, Usec}) of
        ok ->
            os:unsetenv(?BRIDGED),
            State#state{bridged = false};
        {error, _} ->
            State
    end;
cross(State) ->
    State.

handle_info({systemd_watchdog, _, _}, #state{thread = none} = State) ->
    {noreply, State};
handle_info({systemd_watchdog, tick, _}, #state{enabled = false} = State) ->
    {noreply, State};
handle_info({systemd_watchdog, tick, Tick}, State) ->
    systemd_watchdog_info:asked(),
    RunQueues = erlang:statistics(run_queue_lengths_all),
    TakeUp = fun(Watchdog) -> systemd_nif:watchdog_take_up(Watchdog, Tick, RunQueues) end,
    Asked = tell(TakeUp, State#state{is_quiet = is_starting(State)}),
    %% What the check looks at goes down one after the other when the service does.
    case systemd_shutdown:is_under_way() orelse systemd_config:optional(watchdog_check) of
        true -> {noreply, unasked(Tick, Asked)};
        undefined -> {noreply, answer(Tick, true, Asked)};
        Check when Asked#state.thread =/= none -> {noreply, check(Tick, Check, Asked)};
        _ -> {noreply, Asked}
    end;
handle_info({'EXIT', Runner, Reason}, #state{checking = {Tick, Runner, _}} = State) ->
    Checked = State#state{checking = none},
    case systemd_function:outcome(Reason) of
        {returned, {Result, Memory}} ->
            {noreply, answer(Tick, Result, Checked#state{memory = Memory})};
        Failure ->
            {Format, Args} = systemd_function:describe(Failure, watchdog_check),
            Text = ["the check ", systemd_function:summary(Failure), ", see the log"],
            Log = io_lib:format("the check " ++ Format, Args),
            {noreply, answer(Tick, {failed, ended, Text, Log}, Checked)}
    end;
handle_info({systemd_watchdog, What, Tick}, #state{checking = {Tick, Runner, Since}} = State) when
    What =:= overdue; What =:= hangs
->
    %% After a stall of the whole VM the check has only just begun.
    _ = 2 * (now_millis() - Since) >= State#state.warn_after andalso late(What, Runner, State),
    {noreply, State};
handle_info({systemd_watchdog, ping_failed, Reason}, State) ->
    systemd_log:once({watchdog, Reason}, error, "systemd: WATCHDOG=1 was not sent: ~ts", [
        systemd_reason:explain(Reason)
    ]),
    {noreply, State};
handle_info(start, #state{thread = none} = State) ->
    {noreply, start(State)};
handle_info({'EXIT', Owner, _}, #state{thread = {Owner, _}} = State) ->
    {noreply, start((end_check(State))#state{thread = none, failing = none})};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, State) -> end_check(State).

end_check(#state{checking = {_, Runner, _}} = State) ->
    exit(Runner, kill),
    State#state{checking = none};
end_check(State) ->
    State.

check(Tick, Check, #state{thread = {_, Watchdog}, memory = Memory} = State) ->
    Say = fun(What) ->
        %% A new copy of the native library doesn't know this thread.
        catch systemd_nif:watchdog_checking(Watchdog, Tick, unicode:characters_to_binary(What))
    end,
    Runner = systemd_function:start_link({systemd_check, run, [Check, Memory, Say]}, high),
    State#state{checking = {Tick, Runner, now_millis()}}.

late(What, Runner, #state{thread = {_, Watchdog}}) ->
    case systemd_shutdown:is_under_way() orelse What of
        true -> exit(Runner, kill);
        overdue -> systemd_hang:tell_where(Runner);
        hangs -> dump(systemd_config:value(watchdog_crash_dump, undefined), Watchdog)
    end.

dump(None, _) when None =:= undefined; None =:= nil -> ok;
dump(Path, Watchdog) -> systemd_hang:dump(Path, Watchdog).

answer(Tick, Result, State) ->
    case systemd_shutdown:is_under_way() of
        true -> unasked(Tick, State);
        false -> asked(Tick, Result, State)
    end.

%% A service that goes down is watched, and not checked: nothing is known of what it was said to lack.
unasked(Tick, State) ->
    systemd_watchdog_info:answered(),
    told(Tick, true, State).

asked(Tick, Result, #state{failing = Before, is_quiet = IsQuiet} = State) ->
    Failing =
        case Result of
            true -> none;
            {failed, Check, _, _} -> {Check}
        end,
    News = Failing =/= Before andalso not IsQuiet,
    _ = News andalso report(Result),
    Answer =
        case Result of
            true -> true;
            {failed, _, Text, _} when News -> unicode:characters_to_binary(Text);
            {failed, _, _, _} -> false
        end,
    systemd_watchdog_info:answered(Result),
    told(Tick, Answer, case News of true -> State#state{failing = Failing}; false -> State end).

told(Tick, Answer, State) ->
    tell(fun(Watchdog) -> systemd_nif:watchdog_answer(Watchdog, Tick, Answer) end, crossed(State)).

crossed(#state{bridged = Bridged} = State) ->
    case Bridged andalso systemd_notify:has_announced(ready) of
        true -> cross(State);
        false -> State
    end.

%% What the check looks at comes up after this application.
is_starting(#state{quiet_until = QuietUntil}) ->
    now_millis() < QuietUntil andalso not systemd_notify:has_announced(ready).

now_millis() -> erlang:monotonic_time(millisecond).

report(true) ->
    systemd_log:say(notice, "systemd: watchdog_check: all is well again", []);
report({failed, _, _, Log}) ->
    systemd_log:say(error, "systemd: watchdog_check: ~ts; no WATCHDOG=1 until all is well", [Log]).
