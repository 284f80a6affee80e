%% @private
%% Whether the service starts, runs, reloads, restarts or stops, and what the manager is to know when the VM goes down.
-module(systemd_lifecycle).

-export([open/0, watched/1, install/0, close/0, begun/1, going_down/0]).
-export([state/0, is_going_down/0, restart/2, unwatched/1, is_unwatched/0, watched_again/1]).

%% Where kernel's `shutdown_func' from before us is kept.
-define(PREVIOUS, {?MODULE, previous}).

%% Where the timeout of the manager's watchdog is kept.
-define(WATCHED, {?MODULE, watched}).

%% A variable of the environment, because the VM that comes after a restart in place has nothing else of ours.
-define(UNWATCHED, "SYSTEMD_WATCHDOG_BRIDGED").

open() ->
    _ = persistent_term:erase(?MODULE),
    watched(none),
    install_begun().

%% @doc The timeout of the manager's watchdog, which this VM pings.
-spec watched(WatchdogUsec :: pos_integer() | none) -> ok.
watched(WatchdogUsec) -> persistent_term:put(?WATCHED, WatchdogUsec).

close() ->
    _ = persistent_term:erase(?WATCHED),
    ok.

%% @doc Has kernel call {@link begun/1} before it takes the first application down.
%%
%% A hot upgrade by `release_handler' sets the environments of applications anew. It calls `config_change/3' of those
%% whose environment differs then, which is why there is a key that nobody reads.
-spec install() -> term().
install() -> is_open() andalso install_begun().

install_begun() ->
    Previous = application:get_env(kernel, shutdown_func, undefined),
    _ = Previous =:= {?MODULE, begun} orelse persistent_term:put(?PREVIOUS, Previous),
    ok = application:set_env(kernel, shutdown_func, {?MODULE, begun}),
    application:set_env(systemd, kernel_shutdown_func, installed).

%% @doc Runs in the application controller: anything that calls it would wait for ever.
-spec begun(Reason :: term()) -> term().
begun(Reason) ->
    going_down(),
    case persistent_term:get(?PREVIOUS, undefined) of
        {Module, Function} -> Module:Function(Reason);
        _ -> ok
    end.

%% @doc The VM goes down: says so, unless it was said, or this application is down.
going_down() ->
    _ = is_going_down() orelse
        case init_restarts() of
            true -> going_down(restarting), is_open() andalso announce_restart();
            false -> going_down(stopping), is_open() andalso systemd_notify:send(stopping)
        end,
    ok.

is_open() -> persistent_term:get(?WATCHED, closed) =/= closed.

%% `init' doesn't tell why it takes the applications down, but for its stack: in the frame of `init:stop/2' there is
%% `restart', or `{restart, Mode}', or what `init:stop/0,1' was called with.
init_restarts() ->
    {backtrace, Backtrace} = process_info(whereis(init), backtrace),
    case string:split(Backtrace, "(init:stop/2 ") of
        [_, Frame] -> re:run(Frame, "^y\\(\\d+\\) +\\{?restart\\b", [multiline]) =/= nomatch;
        _ -> false
    end.

going_down(How) -> persistent_term:put(?MODULE, How).

%% @doc The service itself may have said what it does. `restarting' is the VM in place, with no `STOPPING=1' on the way.
-spec state() -> starting | running | reloading | restarting | stopping.
state() ->
    Announced = [What || What <- [stopping, reloading, ready], systemd_notify:has_announced(What)],
    case {persistent_term:get(?MODULE, up), Announced} of
        {up, []} -> starting;
        {up, [ready]} -> running;
        {up, [What | _]} -> What;
        {GoingDown, _} -> GoingDown
    end.

%% @doc Whether the service stops, also where that could not be said, or the VM goes down to come back.
-spec is_going_down() -> boolean().
is_going_down() -> lists:member(state(), [restarting, stopping]).

%% @doc Says so, and restarts the VM. Nothing is restarted when it can't be said, or the service goes down.
-spec restart(fun(), Args :: list()) -> ok | {error, systemd:reason()}.
restart(Restart, Args) ->
    case is_going_down() of
        true ->
            {error, stopping};
        false ->
            going_down(restarting),
            case announce_restart() of
                ok ->
                    apply(Restart, Args);
                {error, _} = Error ->
                    _ = persistent_term:erase(?MODULE),
                    Error
            end
    end.

%% Nobody pings while the VM restarts in place.
announce_restart() ->
    Timeout = unwatched(systemd_config:value(restart_timeout)),
    case systemd_notify:send([reloading | Timeout]) of
        ok when Timeout =/= [] -> true = os:putenv(?UNWATCHED, "1"), ok;
        Result -> Result
    end.

%% @doc The states that give a VM so many milliseconds at least in which nobody pings.
-spec unwatched(Millis :: pos_integer()) -> [systemd:state()].
unwatched(Millis) ->
    case persistent_term:get(?WATCHED, none) of
        none -> [];
        Usec -> [{watchdog_usec, max(Usec, Millis * 1000)}]
    end.

%% @doc Whether the manager's timeout is still that for the restart that has led to this VM.
-spec is_unwatched() -> boolean().
is_unwatched() -> os:getenv(?UNWATCHED) =/= false.

%% @doc Sets the manager's timeout back.
-spec watched_again(Usec :: pos_integer()) -> ok | {error, systemd:reason()}.
watched_again(Usec) ->
    case systemd_notify:send({watchdog_usec, Usec}) of
        ok -> true = os:unsetenv(?UNWATCHED), ok;
        {error, _} = Error -> Error
    end.
