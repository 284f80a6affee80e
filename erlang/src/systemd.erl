%% @doc Makes an Erlang service a first-class daemon of systemd.
%%
%% Put {@link ready/0} at the end of the supervision tree and `Type=notify' into the unit. With
%% `WatchdogSec=' in the unit the watchdog runs by itself, and asks the function of the config
%% key `watchdog_check', if there is one. `STOPPING=1' is sent by itself when shutdown begins.
%%
%% Not under systemd, that is without `NOTIFY_SOCKET' in the environment when the application
%% starts, every function is a cheap no-op that returns `ok' or its empty value. Nobody needs to
%% guard a call. Under systemd, what can't be sent is `{error, Reason}', and logged once.
%%
%% @see //stdlib/supervisor
-module(systemd).

-export([
    ready/0, ready/1,
    set_status/1,
    notify/1,
    barrier/0, barrier/1,
    watchdog/1,
    reload/0, reload/1,
    booted/0,
    is_journal/1,
    unset_env/1
]).

-export_type([state/0, statuses/0, sd_timeout/0, reason/0]).

-include_lib("kernel/include/file.hrl").

-type state() ::
    ready
    | stopping
    | reloading
    | restart_reset
    | {status, unicode:chardata()}
    | {errno, 0..4095}
    | {buserror, unicode:chardata()}
    | {varlinkerror, unicode:chardata()}
    | {exit_status, 0..255}
    | {mainpid, pos_integer()}
    | {notify_access, none | main | exec | all}
    | {watchdog_usec, non_neg_integer()}
    | {extend_timeout, {non_neg_integer(), erlang:time_unit()}}
    | {Key :: atom() | unicode:chardata(), Value :: unicode:chardata() | integer()}.
%% One assignment of sd_notify(3). `{Key, Value}' is any other: the key is sent in upper case,
%% so that `{x_users, 7}' becomes `X_USERS=7'. A line break or NUL becomes a space in a status, and
%% is an error in every other value. `watchdog_usec' changes the manager's timeout alone: this
%% application goes on to ping at the interval of `WatchdogSec='.

-type statuses() ::
    #{up => state() | [state()], down => state() | [state()]}
    | [{up | down, state() | [state()]}].
%% What to notify when a child starts, and when its supervisor takes it down.

-type sd_timeout() :: pos_integer().
%% Milliseconds.

-type reason() ::
    file:posix()
    | {invalid_state, term()}
    | {invalid_value, Key :: term()}
    | {invalid_notify_socket, binary()}
    | nif_not_loaded.
%% Why nothing was sent.
%% <ul>
%% <li>`eagain': the manager's queue was full, and stayed so for 2 seconds.</li>
%% <li>`emsgsize': more than the 4096 bytes that the manager reads of a notification.</li>
%% <li>`enoent', `econnrefused', ...: nobody listens on `NOTIFY_SOCKET'.</li>
%% <li>`etimedout': the manager did not come to a {@link barrier/1} in time.</li>
%% <li>`{invalid_state, State}': not a {@link state()}.</li>
%% <li>`{invalid_value, Key}': the value under that key breaks a rule of sd_notify(3).</li>
%% <li>`{invalid_notify_socket, Value}': `NOTIFY_SOCKET' is no absolute path, `@name' or
%% `vsock:CID:PORT', or is too long.</li>
%% <li>`nif_not_loaded': the native library is missing; the log says why.</li>
%% </ul>

%% @doc A child that says `READY=1' when it is started, see sd_notify(3). Its start returns only
%% after the send. Put it behind the children that must be up first. Unless the service has set
%% a status already, `STATUS=ready' goes with it.
%%
%% A send that fails is logged, and never fails the supervisor.
-spec ready() -> supervisor:child_spec().
ready() -> systemd_ready:child_spec(default).

%% @doc {@link ready/0} with a status of your own.
-spec ready(Status :: unicode:chardata()) -> supervisor:child_spec().
ready(Status) -> systemd_ready:child_spec(Status).

%% @doc A child that notifies when it is started and when its supervisor takes it down:
%% `systemd:set_status([{down, {status, "draining"}}])' behind a drainer tells the operator
%% when draining begins, and in front of it when it is over. Several fit into one supervisor.
%%
%% A send that fails is logged, and never fails the supervisor.
-spec set_status(statuses()) -> supervisor:child_spec().
set_status(Statuses) -> systemd_status:child_spec(Statuses).

%% @doc Sends one state or a list of them in one datagram, see sd_notify(3).
%%
%% The caller itself sends, without another process. It waits only when the manager's queue is
%% full, for 2 seconds at most, and never raises.
-spec notify(state() | [state()]) -> ok | {error, reason()}.
notify(States) -> systemd_notify:send(States).

%% @equiv barrier(5000)
-spec barrier() -> ok | {error, reason()}.
barrier() -> barrier(5000).

%% @doc Returns when the manager has processed all that was sent before, or
%% `{error, etimedout}' after `Timeout' milliseconds, see sd_notify_barrier(3).
-spec barrier(timeout()) -> ok | {error, reason()}.
barrier(Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout >= 0 ->
    systemd_notify:barrier(Timeout);
barrier(Timeout) ->
    error(badarg, [Timeout]).

%% @doc Manages the watchdog, see sd_watchdog_enabled(3) and `WatchdogSec=' in
%% systemd.service(5).
%%
%% With `WatchdogSec=' in the unit it is enabled from the start, and pings every
%% `WatchdogSec=' / `watchdog_scale' (a config key, 10) for as long as `watchdog_check' returns
%% `true'.
%% <ul>
%% <li>`state': the timeout in milliseconds, or `false' when the watchdog is off or disabled.</li>
%% <li>`ping': sends one `WATCHDOG=1' by hand.</li>
%% <li>`trigger': sends `WATCHDOG=trigger', as if the timeout had run out.</li>
%% <li>`disable', `enable': stops the pings, and takes them up again. The manager goes on to
%% expect them, so that a service which disables them has to ping by hand.</li>
%% </ul>
-spec watchdog
    (state) -> sd_timeout() | false;
    (ping | trigger) -> ok | {error, reason()};
    (enable | disable) -> ok.
watchdog(state) -> systemd_watchdog:timeout();
watchdog(ping) -> systemd_notify:send({watchdog, <<"1">>});
watchdog(trigger) -> systemd_notify:send({watchdog, <<"trigger">>});
watchdog(enable) -> systemd_watchdog:enable();
watchdog(disable) -> systemd_watchdog:disable();
watchdog(Command) -> error(badarg, [Command]).

%% @doc Says `RELOADING=1' and restarts the VM in place by `init:restart/0'. The manager shows
%% `reloading' until the service is ready again; no `STOPPING=1' is sent. When `RELOADING=1'
%% can't be sent, nothing is restarted.
%%
%% SIGHUP does the same, unless the config key `handle_event' is `false'.
-spec reload() -> ok | {error, reason()}.
reload() -> reload(fun init:restart/0, []).

%% @doc {@link reload/0} with the options of `init:restart/1'.
-spec reload(Options :: [{mode, embedded | interactive}]) -> ok | {error, reason()}.
reload([]) -> reload();
reload([{mode, Mode}] = Options) when Mode =:= embedded; Mode =:= interactive ->
    reload(fun init:restart/1, [Options]);
reload(Options) ->
    error(badarg, [Options]).

reload(Restart, Args) ->
    case systemd_notify:notifier() of
        undefined ->
            ok;
        _ ->
            systemd_shutdown:restarting(true),
            case systemd_notify:send(reloading) of
                ok ->
                    apply(Restart, Args);
                {error, _} = Error ->
                    systemd_shutdown:restarting(false),
                    Error
            end
    end.

%% @doc Whether the system was booted with systemd, see sd_booted(3). Says nothing about this
%% process: no other function needs it.
-spec booted() -> {ok, boolean()} | {error, file:posix()}.
booted() ->
    case file:read_link_info("/run/systemd/system", [raw]) of
        {ok, #file_info{type = Type}} -> {ok, Type =:= directory};
        {error, enoent} -> {ok, false};
        {error, enotdir} -> {ok, false};
        {error, Reason} -> {error, Reason}
    end.

%% @doc Whether standard output (`standard_io', `user') or standard error (`standard_error') goes
%% to the journal, as `JOURNAL_STREAM' says it: see systemd.exec(5). `false' for any other device,
%% and outside of systemd.
-spec is_journal(standard_io | standard_error | user | io:device()) -> boolean().
is_journal(Device) -> systemd_logger:is_journal(Device).

%% @doc Unsets the variables of one part of the protocol for child processes. The application
%% does that by itself when it starts, unless the config key `unset_env' is `false'.
-spec unset_env(notify | watchdog | listen_fds) -> ok.
unset_env(notify) -> systemd_env:unset(["NOTIFY_SOCKET"]);
unset_env(watchdog) -> systemd_env:unset(["WATCHDOG_USEC", "WATCHDOG_PID"]);
unset_env(listen_fds) -> systemd_env:unset(["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]);
unset_env(Part) -> error(badarg, [Part]).
