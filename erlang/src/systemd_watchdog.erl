%% @private
%% Answers the native watchdog thread, on the word of the config key `watchdog_check'.
-module(systemd_watchdog).
-behaviour(gen_server).

-export([child_spec/2, start_link/2, timeout/0, enable/0, disable/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export([run/1]).

-type outcome() ::
    true
    | false
    | {returned, term()}
    | {raised, error | exit | throw, Reason :: term(), Stack :: list()}
    | {ended, Reason :: term()}
    | {invalid, Config :: term()}.

-define(SCALE, 10).

-record(state, {
    watchdog :: systemd_nif:watchdog(),
    %% Monotonic milliseconds: a service that is not ready before may fail its check quietly.
    quiet_until :: integer(),
    checking = none :: none | {Tick :: pos_integer(), Runner :: pid()},
    outcome = true :: outcome()
}).

-spec child_spec(systemd_nif:notifier(), Usec :: pos_integer()) -> supervisor:child_spec().
child_spec(Notifier, Usec) ->
    #{id => ?MODULE, start => {?MODULE, start_link, [Notifier, Usec]}}.

start_link(Notifier, Usec) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, {Notifier, Usec}, []).

%% @doc Milliseconds, or `false' when the watchdog is off.
-spec timeout() -> pos_integer() | false.
timeout() ->
    case persistent_term:get(?MODULE, undefined) of
        {Watchdog, Usec} ->
            systemd_nif:watchdog_enabled(Watchdog) andalso max(1, Usec div 1000);
        undefined ->
            false
    end.

-spec enable() -> ok.
enable() -> with_watchdog(fun systemd_nif:watchdog_enable/1).

-spec disable() -> ok.
disable() -> with_watchdog(fun systemd_nif:watchdog_disable/1).

with_watchdog(Fun) ->
    case persistent_term:get(?MODULE, undefined) of
        {Watchdog, _} -> Fun(Watchdog);
        undefined -> ok
    end.

init({Notifier, Usec}) ->
    process_flag(trap_exit, true),
    process_flag(priority, high),
    case systemd_nif:watchdog_start(Notifier, Usec, max(1, Usec div scale())) of
        {ok, Watchdog} ->
            persistent_term:put(?MODULE, {Watchdog, Usec}),
            Half = Usec div 2000,
            {ok, #state{watchdog = Watchdog, quiet_until = now_millis() + Half}};
        {error, Reason} ->
            logger:error("systemd: the watchdog's thread could not be started: ~0tp", [Reason]),
            ignore
    end.

scale() ->
    case application:get_env(systemd, watchdog_scale, ?SCALE) of
        Scale when is_integer(Scale), Scale > 1 ->
            Scale;
        Invalid ->
            logger:error(
                "systemd: config key watchdog_scale is ~0tP, which is not an integer above 1; "
                "~b is used",
                [Invalid, 20, ?SCALE]
            ),
            ?SCALE
    end.

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info({systemd_watchdog, tick, Tick}, State) ->
    case application:get_env(systemd, watchdog_check, undefined) of
        undefined -> {noreply, answer(Tick, true, State)};
        Check -> {noreply, check(Tick, Check, State)}
    end;
handle_info({'EXIT', Runner, Reason}, #state{checking = {Tick, Runner}} = State) ->
    Outcome =
        case Reason of
            {?MODULE, Result} -> Result;
            _ -> {ended, Reason}
        end,
    {noreply, answer(Tick, Outcome, State#state{checking = none})};
handle_info({systemd_watchdog, ping_failed, Reason}, State) ->
    systemd_log:once({watchdog, Reason}, error, "systemd: WATCHDOG=1 was not sent: ~0tp", [Reason]),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

%% A runner that still runs was asked before the watchdog was disabled and enabled again.
check(Tick, Check, #state{checking = {_, Runner}} = State) ->
    exit(Runner, kill),
    check(Tick, Check, State#state{checking = none});
check(Tick, Check, State) ->
    Runner = spawn_opt(?MODULE, run, [Check], [link, {priority, high}]),
    State#state{checking = {Tick, Runner}}.

%% @doc The user's function has a process of its own, that it may hang or crash.
-spec run(Check :: term()) -> no_return().
run(Check) -> exit({?MODULE, outcome(Check)}).

outcome({Module, Function, Args}) when is_atom(Module), is_atom(Function), is_list(Args) ->
    outcome(fun() -> apply(Module, Function, Args) end);
outcome(Check) when is_function(Check, 0) ->
    try Check() of
        Well when is_boolean(Well) -> Well;
        Other -> {returned, Other}
    catch
        Class:Reason:Stack -> {raised, Class, Reason, Stack}
    end;
outcome(Check) ->
    {invalid, Check}.

answer(Tick, Outcome, #state{watchdog = Watchdog, outcome = Last} = State) ->
    ok = systemd_nif:watchdog_answer(Watchdog, Tick, Outcome =:= true),
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
describe({raised, Class, Reason, Stack}) ->
    {"raised ~ts", [erl_error(Class, Reason, Stack)]};
describe({ended, Reason}) ->
    {"was ended by an exit signal: ~0tP", [Reason, 20]};
describe({invalid, Config}) ->
    {"can't be called: the config key is ~0tP, and neither {M, F, A} nor fun/0", [Config, 20]}.

erl_error(Class, Reason, Stack) ->
    io_lib:format("~ts ~0tP at ~0tP", [Class, Reason, 20, Stack, 30]).
