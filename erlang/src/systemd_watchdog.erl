%% @private
%% Answers the native watchdog thread, on the word of the config key `watchdog_check'.
-module(systemd_watchdog).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, timeout/0, enable/0, disable/0, bridge/1, bridged/0, forget/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-type outcome() :: true | false | {returned, term()} | systemd_function:failure().

-define(SCALE, 10).

-record(state, {
    watchdog :: systemd_nif:watchdog(),
    usec :: pos_integer(),
    enabled = true :: boolean(),
    %% The VM was restarted in place, and the manager's timeout is still that for the restart.
    bridged = false :: boolean(),
    %% Monotonic milliseconds: a service that is not ready before may fail its check quietly.
    quiet_until :: integer(),
    checking = none :: none | {Tick :: pos_integer(), Runner :: pid()},
    outcome = true :: outcome()
}).

-spec child_spec(Usec :: pos_integer()) -> supervisor:child_spec().
child_spec(Usec) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Usec]}}.

start_link(Usec) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Usec, []).

%% @doc Milliseconds, or `false' when the watchdog is off.
-spec timeout() -> pos_integer() | false.
timeout() -> call(timeout, false).

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
    persistent_term:put(?MODULE, Usec),
    case start(Usec) of
        {ok, Watchdog} ->
            Half = Usec div 2000,
            {ok, #state{
                watchdog = Watchdog,
                usec = Usec,
                quiet_until = now_millis() + Half,
                bridged = os:getenv(?BRIDGED) =/= false
            }};
        failed ->
            ignore
    end.

start(Usec) ->
    Interval = max(1, Usec div systemd_config:integer(watchdog_scale, 2, ?SCALE)),
    Start = fun(Notifier) -> systemd_nif:watchdog_start(Notifier, Usec, Interval) end,
    case systemd_notify:with_notifier(Start) of
        {ok, Watchdog} ->
            {ok, Watchdog};
        Error ->
            systemd_log:once(
                {watchdog, start}, error, "systemd: the watchdog's thread could not be started: ~0tp", [Error]
            ),
            failed
    end.

handle_call(timeout, _, #state{usec = Usec, enabled = Enabled} = State) ->
    {reply, Enabled andalso max(1, Usec div 1000), State};
handle_call(enable, _, State) ->
    {reply, ok, tell(fun systemd_nif:watchdog_enable/1, State#state{enabled = true})};
handle_call(disable, _, State) ->
    Disabled = tell(fun systemd_nif:watchdog_disable/1, State#state{enabled = false}),
    {reply, ok, cross(Disabled)};
handle_call(_, _, State) ->
    {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

%% Another copy of the native library may have taken the place of the one whose thread it is.
tell(Fun, #state{watchdog = Watchdog} = State) ->
    try Fun(Watchdog) of
        ok -> State
    catch
        error:badarg -> renew(State)
    end.

%% The thread before ends with the last reference to it, before it takes the silence for a stall.
renew(#state{usec = Usec, enabled = Enabled} = State) ->
    case start(Usec) of
        {ok, Watchdog} ->
            Enabled orelse systemd_nif:watchdog_disable(Watchdog),
            self() ! collect,
            State#state{watchdog = Watchdog};
        failed ->
            _ = erlang:send_after(100, self(), renew),
            State
    end.

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

handle_info({systemd_watchdog, tick, Tick}, State) ->
    case application:get_env(systemd, watchdog_check, undefined) of
        undefined -> {noreply, answer(Tick, true, State)};
        Check -> {noreply, check(Tick, Check, State)}
    end;
handle_info({'EXIT', Runner, Reason}, #state{checking = {Tick, Runner}} = State) ->
    Outcome =
        case systemd_function:outcome(Reason) of
            {returned, Well} when is_boolean(Well) -> Well;
            Other -> Other
        end,
    {noreply, answer(Tick, Outcome, State#state{checking = none})};
handle_info({systemd_watchdog, ping_failed, Reason}, State) ->
    systemd_log:once({watchdog, Reason}, error, "systemd: WATCHDOG=1 was not sent: ~0tp", [Reason]),
    {noreply, State};
handle_info(renew, State) ->
    {noreply, renew(State)};
handle_info(collect, State) ->
    true = erlang:garbage_collect(),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

%% A runner that still runs was asked before the watchdog was disabled and enabled again.
check(Tick, Check, #state{checking = {_, Runner}} = State) ->
    exit(Runner, kill),
    check(Tick, Check, State#state{checking = none});
check(Tick, Check, State) ->
    Runner = systemd_function:start_link(Check, high),
    State#state{checking = {Tick, Runner}}.

answer(Tick, Outcome, #state{outcome = Last} = Before) ->
    Answer = fun(Watchdog) -> systemd_nif:watchdog_answer(Watchdog, Tick, Outcome =:= true) end,
    %% Before the service is ready its check may well fail.
    IsReady = Before#state.bridged andalso systemd_notify:has_announced(ready),
    State = tell(Answer, case IsReady of true -> cross(Before); false -> Before end),
    case kind(Outcome) =:= kind(Last) orelse is_starting(State) of
        true ->
            State;
        false ->
            report(Outcome),
            State#state{outcome = Outcome}
    end.

%% What the check looks at comes up after this application.
is_starting(#state{quiet_until = QuietUntil}) ->
    now_millis() < QuietUntil andalso not systemd_notify:has_announced(ready).

now_millis() -> erlang:monotonic_time(millisecond).

kind(Outcome) when is_tuple(Outcome) -> element(1, Outcome);
kind(Outcome) -> Outcome.

report(true) ->
    systemd_log:say(notice, "systemd: watchdog_check returned true again", []);
report(Outcome) ->
    {Format, Args} = describe(Outcome),
    systemd_log:say(
        error, "systemd: watchdog_check " ++ Format ++ "; no WATCHDOG=1 until it returns true", Args
    ).

describe(false) ->
    {"returned false", []};
describe({returned, Other}) ->
    {"returned ~0tP, which is neither true nor false", [Other, 20]};
describe(Failure) ->
    systemd_function:describe(Failure, watchdog_check).
