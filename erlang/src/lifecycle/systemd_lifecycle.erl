%% @private
%% Whether the service starts, runs, reloads, restarts or stops. Notifies systemd when the VM restarts or stops.
-module(systemd_lifecycle).

-export([open/0, set_watchdog_timeout/1, install/0, close/0, begun/1, announce_end/0]).
-export([state/0, is_going_down/0, restart/2]).
-export([raised_watchdog_timeout/1, is_watchdog_timeout_raised/0, reset_watchdog_timeout/1]).

%% The key for the value that kernel's `shutdown_func' had before.
-define(PREVIOUS, {?MODULE, previous}).

%% The key for the timeout of systemd's watchdog.
-define(WATCHDOG_TIMEOUT, {?MODULE, watchdog_timeout}).

%% An environment variable, because nothing else of this VM is left after a restart in place.
-define(TIMEOUT_RAISED, "SYSTEMD_WATCHDOG_BRIDGED").

open() ->
    _ = persistent_term:erase(?MODULE),
    set_watchdog_timeout(none),
    install_hook().

%% @doc Remembers the timeout of systemd's watchdog, if this VM pings it.
-spec set_watchdog_timeout(WatchdogUsec :: pos_integer() | none) -> ok.
set_watchdog_timeout(WatchdogUsec) -> persistent_term:put(?WATCHDOG_TIMEOUT, WatchdogUsec).

close() ->
    _ = persistent_term:erase(?WATCHDOG_TIMEOUT),
    ok.

%% @doc Makes kernel call {@link begun/1} before it stops the first application.
%%
%% A hot upgrade by `release_handler' resets the environment of each application, and so removes kernel's
%% `shutdown_func'. It then calls `config_change/3' of each application with a changed environment. So that it calls
%% that of this application, install/0 also sets a key here, which no code reads.
-spec install() -> term().
install() -> is_open() andalso install_hook().

install_hook() ->
    Previous = application:get_env(kernel, shutdown_func, undefined),
    _ = Previous =:= {?MODULE, begun} orelse persistent_term:put(?PREVIOUS, Previous),
    ok = application:set_env(kernel, shutdown_func, {?MODULE, begun}),
    application:set_env(systemd, kernel_shutdown_func, installed).

%% @doc Runs in the application controller. A call to the application controller would never return.
-spec begun(Reason :: term()) -> term().
begun(Reason) ->
    announce_end(),
    case persistent_term:get(?PREVIOUS, undefined) of
        {Module, Function} -> Module:Function(Reason);
        _ -> ok
    end.

%% @doc The VM stops or restarts: notifies systemd once, if this application is running.
announce_end() ->
    _ = is_going_down() orelse
        case init_restarts() of
            true -> set_state(restarting), is_open() andalso announce_restart();
            false -> set_state(stopping), is_open() andalso systemd_notify:send(stopping)
        end,
    ok.

is_open() -> persistent_term:get(?WATCHDOG_TIMEOUT, closed) =/= closed.

%% `init' does not say whether it stops or restarts the VM, but its stack does: the frame of `init:stop/2' contains
%% `restart', `{restart, Mode}', or the argument of `init:stop/0,1'.
init_restarts() ->
    {backtrace, Backtrace} = process_info(whereis(init), backtrace),
    case string:split(Backtrace, "(init:stop/2 ") of
        [_, Frame] -> re:run(Frame, "^y\\(\\d+\\) +\\{?restart\\b", [multiline]) =/= nomatch;
        _ -> false
    end.

set_state(How) -> persistent_term:put(?MODULE, How).

%% @doc The state, as the library or the service itself has announced it. `restarting' means that the VM restarts in
%% place, without a `STOPPING=1'.
-spec state() -> starting | running | reloading | restarting | stopping.
state() ->
    Announced = [What || What <- [stopping, reloading, ready], systemd_notify:has_announced(What)],
    case {persistent_term:get(?MODULE, up), Announced} of
        {up, []} -> starting;
        {up, [ready]} -> running;
        {up, [What | _]} -> What;
        {GoingDown, _} -> GoingDown
    end.

%% @doc Whether the service stops, even if that could not be sent, or the VM restarts in place.
-spec is_going_down() -> boolean().
is_going_down() -> lists:member(state(), [restarting, stopping]).

%% @doc Announces the restart, and restarts the VM. Does not restart it if the announcement fails or the service stops.
-spec restart(fun(), Args :: list()) -> ok | {error, systemd:reason()}.
restart(Restart, Args) ->
    case is_going_down() of
        true ->
            {error, stopping};
        false ->
            set_state(restarting),
            case announce_restart() of
                ok ->
                    apply(Restart, Args);
                {error, _} = Error ->
                    _ = persistent_term:erase(?MODULE),
                    Error
            end
    end.

%% Nothing pings systemd while the VM restarts in place.
announce_restart() ->
    Timeout = raised_watchdog_timeout(systemd_config:value(restart_timeout)),
    case systemd_notify:send([reloading | Timeout]) of
        ok when Timeout =/= [] -> true = os:putenv(?TIMEOUT_RAISED, "1"), ok;
        Result -> Result
    end.

%% @doc The states that raise systemd's watchdog timeout to at least this many milliseconds, in which nothing pings.
-spec raised_watchdog_timeout(Millis :: pos_integer()) -> [systemd:state()].
raised_watchdog_timeout(Millis) ->
    case persistent_term:get(?WATCHDOG_TIMEOUT, none) of
        none -> [];
        Usec -> [{watchdog_usec, max(Usec, Millis * 1000)}]
    end.

%% @doc Whether systemd's watchdog timeout is still the one for the restart that led to this VM.
-spec is_watchdog_timeout_raised() -> boolean().
is_watchdog_timeout_raised() -> os:getenv(?TIMEOUT_RAISED) =/= false.

%% @doc Sets systemd's watchdog timeout back to that of the unit.
-spec reset_watchdog_timeout(Usec :: pos_integer()) -> ok | {error, systemd:reason()}.
reset_watchdog_timeout(Usec) ->
    case systemd_notify:send({watchdog_usec, Usec}) of
        ok -> true = os:unsetenv(?TIMEOUT_RAISED), ok;
        {error, _} = Error -> Error
    end.
