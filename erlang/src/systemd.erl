%% @doc Makes an Erlang service a first-class daemon of systemd.
%%
%% Put {@link ready/0} at the end of the supervision tree and `Type=notify' into the unit. With `WatchdogSec=' in the
%% unit the watchdog runs by itself, and asks the function of the config key `watchdog_check', if there is one.
%% `STOPPING=1' is sent by itself when shutdown begins.
%%
%% Not under systemd, that is without `NOTIFY_SOCKET' in the environment when the application starts, every function is
%% a cheap no-op that returns `ok' or its empty value. Nobody needs to guard a call. Under systemd, what can't be sent
%% is `{error, Reason}', and logged once.
-module(systemd).

-export([ready/0, ready/1, set_status/1, status_every/2, drainer/1, drainer/2, notify/1, barrier/0, barrier/1]).
-export([extend_timeout_while/1, extend_timeout_while/2]).
-export([extend_timeout_while_stopping/0, extend_timeout_while_stopping/1]).
-export([reload/0, reload/1, is_stopping/0, watchdog/1, is_journal/1]).
-export([listen_fds/0, listen_opts/1, listen_opts/2, listen_socket/1, listen_info/1]).
-export([store_fds/1, store_fds/2, clear_fds/1, store_term/2, fetch_term/1, credentials/1, read_credential/1]).
-export([booted/0, unset_env/1, info/0, doctor/0]).

-export_type([state/0, digits/0, statuses/0, sd_timeout/0, reason/0, info/0, watchdog_info/0]).
-export_type([reload_function/0, status_function/0, extension/0]).
-export_type([listener/0, drain_option/0, fd/0, fd_name/0, fd_info/0, fd_source/0, storable/0, credential/0]).

-include_lib("kernel/include/file.hrl").

-type state() ::
    ready | stopping | reloading | restart_reset
    | {status, unicode:chardata()}
    | {errno, 0..4095 | digits()} | {buserror, unicode:chardata()} | {varlinkerror, unicode:chardata()}
    | {exit_status, 0..255 | digits()} | {mainpid, pos_integer() | digits()}
    | {notify_access, none | main | exec | all}
    | {watchdog_usec, non_neg_integer() | digits()}
    | {extend_timeout, {non_neg_integer() | digits(), erlang:time_unit()}}
    | {Key :: atom() | unicode:chardata(), Value :: unicode:chardata() | integer()}.
%% One assignment of sd_notify(3). `{Key, Value}' is any other: the key is sent in upper case, so that `{x_users, 7}'
%% becomes `X_USERS=7'. A line break or NUL becomes a space in a status, and is an error in every other value. A
%% backslash is sent as two, which the manager reads as one. `watchdog_usec' changes the manager's timeout alone: this
%% application goes on to ping at the interval of `WatchdogSec='.

-type digits() :: unicode:chardata().
%% A number as text, such as `os:getpid()'.

-type statuses() ::
    #{up => state() | [state()], down => state() | [state()]}
    | [{up | down, state() | [state()]}].
%% What to notify when a child starts, and when a shutdown of the service stops it. `undefined' and `nil' are nothing.

-type status_function() :: {module(), atom(), list()} | fun(() -> unicode:chardata()).
%% Computes a status.

-type extension() :: {limit, Millis :: pos_integer()} | {status, unicode:chardata()}.
%% `limit': for how long more time is asked for; 1800000, half an hour, by default. `status': a `STATUS=' to begin with.

-type reload_function() :: {module(), atom(), list()} | fun(() -> term()).
%% What the config key `reload' may be, other than `restart'. It is called on SIGHUP and by {@link reload/0}, one at a
%% time, in a process of its own, between `RELOADING=1' and `READY=1'. For all who ask meanwhile it is called once more.
%% <ul>
%% <li>`ok', `{ok, Term}' or any other term: it is done. `STATUS=reloaded', or `STATUS=reloaded: Term', with text as it
%% is.</li>
%% <li>`{error, Reason}', `error', an exception: it has failed. `STATUS=reload failed: ...', and the whole of it in the
%% log. The service goes on.</li>
%% </ul>
%% One that is not done after the config key `reload_timeout' (90000 ms) is ended, and has failed;
%% {@link extend_timeout_while/2}, called by the function's own process, gives it more time.
%%
%% Before the service is ready it is called without `RELOADING=1' and `READY=1', which would end the start-up; when it
%% goes down, not at all, and one that ends then says nothing to the manager.

-type sd_timeout() :: pos_integer().
%% Milliseconds.

-type reason() ::
    file:posix() | no_thread | not_started | nif_not_loaded
    | {invalid_state, term()} | {invalid_value, Key :: term()} | {invalid_notify_socket, binary()}
    | bad_descriptor | {invalid_fd_name, term()} | {no_such_fd, fd_name()}
    | {several_fds, fd_name(), [non_neg_integer()]} | {unfit_fd, fd_info()} | {fd_store_max, integer()}
    | {reload_failed, term()} | stopping.
%% Why nothing was sent.
%% <ul>
%% <li>`eagain': the manager's queue was full, and stayed so for 2 seconds.</li>
%% <li>`no_thread': none could be started to wait for the manager, see `TasksMax=' in systemd.resource-control(5).</li>
%% <li>`emsgsize': more than the 4096 bytes that the manager reads of a notification.</li>
%% <li>`enoent', `econnrefused', ...: nobody listens on `NOTIFY_SOCKET'.</li>
%% <li>`etimedout': the manager did not come to a {@link barrier/1} in time.</li>
%% <li>`{invalid_state, State}': not a {@link state()}.</li>
%% <li>`{invalid_value, Key}': the value under that key breaks a rule of sd_notify(3).</li>
%% <li>`{invalid_notify_socket, Value}': it is no absolute path, `@name' or `vsock:CID:PORT' (`vsock-stream:',
%% `vsock-seqpacket:'), or is too long.</li>
%% <li>`bad_descriptor': one of the descriptors is not open.</li>
%% <li>`{invalid_fd_name, Name}': not 1 to 255 printable ASCII characters without a colon.</li>
%% <li>`{no_such_fd, Name}': the manager handed nothing over under that name.</li>
%% <li>`{several_fds, Name, Fds}': it handed over several; take them by their numbers.</li>
%% <li>`{unfit_fd, Info}': neither `gen_tcp' nor `gen_udp' can listen on it.</li>
%% <li>`{fd_store_max, N}': the unit may store no more, see `FileDescriptorStoreMax=' in systemd.service(5).</li>
%% <li>`{reload_failed, Reason}': the function of the config key `reload' returned `{error, Reason}', or raised; then
%% `Reason' is `{error | exit | throw, What}'.</li>
%% <li>`stopping': the service goes down, and is not reloaded any more.</li>
%% <li>`not_started': the application `systemd' is not running: add it to `applications' of your `.app.src'.</li>
%% <li>`nif_not_loaded': the native library is missing; the log says why.</li>
%% </ul>

-type fd() :: non_neg_integer() | {non_neg_integer(), Name :: string()}.
%% A descriptor that the manager handed over, with its name if it has one: `FileDescriptorName=' in systemd.socket(5),
%% which is the name of the socket unit by default, or what it was stored under.

-type fd_name() :: atom() | unicode:chardata().
%% 1 to 255 printable ASCII characters without a colon.

-type listener() :: fd_name() | (Fd :: non_neg_integer()) | {port, inet:port_number()}.
%% What a server listens on: what systemd handed over, by its name or its number, or a TCP port of the service's own.

-type drain_option() ::
    {timeout, Millis :: pos_integer()} | {status, unicode:chardata()} | {wait, requests | connections}.
%% <ul>
%% <li>`timeout': for how long requests are waited for; 30000 by default. Until then the manager is asked for more time
%% than `TimeoutStopSec='.</li>
%% <li>`status': in front of the number of requests in `STATUS='; "draining" by default.</li>
%% <li>`wait': what is waited for, `requests' by default, or `connections', also those without a request.</li>
%% </ul>

-type fd_info() :: #{
    fd := non_neg_integer(),
    family := inet | inet6 | local,
    type := stream | dgram | seqpacket | raw | undefined,
    listening := boolean(),
    connected := boolean(),
    address := {inet:ip_address(), inet:port_number()} | {local, binary()}
}.
%% What a socket is. `address' is the local one, as `inet:sockname/1' has it.

-type fd_source() :: non_neg_integer() | gen_tcp:socket() | gen_udp:socket() | socket:socket().
%% A descriptor, or a socket that has one.

-type storable() :: fd_source() | {fd_source(), fd_name()}.
%% What to store, and the name to store it under.

-type credential() :: atom() | unicode:chardata().
%% What `LoadCredential=' or `SetCredential=' in systemd.exec(5) call it.

-type watchdog_info() :: #{
    timeout := pos_integer(),
    enabled := boolean(),
    last_answer := non_neg_integer() | never,
    last_result := ok | not_checked | unicode:unicode_binary(),
    last_duration := non_neg_integer() | never,
    overdue := non_neg_integer() | false
}.
%% See {@link info()}.

-type info() :: #{
    under_systemd := boolean(),
    uptime := non_neg_integer() | false,
    pid := pos_integer() | false,
    exec_pid := pos_integer() | false,
    unit := binary() | false,
    invocation_id := binary() | false,
    debug_invocation := boolean(),
    notify_socket := binary() | false,
    error := reason() | false,
    announced := [ready | reloading | stopping],
    status := binary() | false,
    notifications := #{sent := non_neg_integer(), failed := non_neg_integer()},
    watchdog := watchdog_info() | false,
    journal := #{
        logger:handler_id() =>
            #{path := binary(), reachable := boolean(), sent := non_neg_integer(), dropped := non_neg_integer()}
    },
    descriptors := #{handed_over := [fd()], store_max := integer() | unknown}
}.
%% What is not there or not known is `false'. Times are in milliseconds.
%% <ul>
%% <li>`under_systemd': `NOTIFY_SOCKET' was set when this application was started, `uptime' ago.</li>
%% <li>`exec_pid': the process that the manager has started, `SYSTEMD_EXEC_PID' in systemd.exec(5). Where it is not the
%% VM's own `pid', a script has started the VM.</li>
%% <li>`unit', `invocation_id': also where the unit has the VM notify nothing.</li>
%% <li>`debug_invocation': systemd has started the service again after a failure, and `RestartMode=debug' in
%% systemd.service(5) asks for debug logs.</li>
%% <li>`error': why nothing can be sent at all.</li>
%% <li>`status': the last one sent by this application, but not what a native thread has put in its place.</li>
%% <li>`notifications': `sent' counts datagrams, also those of the native threads, such as the pings of the watchdog;
%% `failed' the calls that have returned an error, and what those threads could not send.</li>
%% <li>`watchdog', where there is `WatchdogSec=': its `timeout'; whether it is `enabled'; `last_answer', so long ago, or
%% `never'; `last_result', `ok', `not_checked' before the first one, or what of `watchdog_check' has failed;
%% `last_duration' until that answer; for how long an answer is `overdue', if it is.</li>
%% <li>`journal': the handlers that are a {@link systemd_journal_h}, whether journald listens at this moment, and how
%% many entries were sent and dropped.</li>
%% <li>`descriptors': what was handed over at the start, and how many the unit may store, which systemd tells from
%% version 254 on.</li>
%% </ul>
%% All counts begin anew when another version of the native library is loaded.

%% @doc A child that says `READY=1' when it is started, see sd_notify(3). Its start returns only after the send. Put it
%% behind the children that must be up first. Unless the service has set a status already, `STATUS=ready' goes with it.
%%
%% A send that fails is logged, and never fails the supervisor. Where the application `systemd' was not started before,
%% which is an error in the log, `READY=1' is sent all the same.
-spec ready() -> supervisor:child_spec().
ready() -> systemd_status:ready(default).

%% @doc {@link ready/0} with a status of your own. With `undefined' or `nil', without one.
-spec ready(Status :: unicode:chardata() | undefined | nil) -> supervisor:child_spec().
ready(Status) -> systemd_status:ready(Status).

%% @doc A child that notifies when it is started, and when it is stopped in a shutdown of the service:
%% `systemd:set_status([{down, {status, "draining"}}])' behind a drainer tells the operator when draining begins, and in
%% front of it when it is over.
%%
%% Equal arguments make equal child specifications, whose `id' finds the child in its supervisor. Two equal ones in one
%% supervisor need different ids: `(systemd:set_status(Statuses))#{id => another}', in Elixir
%% `Supervisor.child_spec(Systemd.set_status(statuses), id: :another)'.
%%
%% When a crash in the tree takes it down, nothing is sent. When it is started again, `up' is.
%%
%% A send that fails is logged, and never fails the supervisor.
-spec set_status(statuses()) -> supervisor:child_spec().
set_status(Statuses) -> systemd_status:child_spec(Statuses).

%% @doc A child that calls the function every so many milliseconds, for the first time at once, and sends what it
%% returns as `STATUS=' when it has changed:
%% ```
%% systemd:status_every(5000, fun() -> io_lib:format("~b connections", [my_server:count()]) end)
%% '''
%% It has a process of its own. While it hangs it is not called again; when it hangs, raises, or returns no text, the
%% log says so once, and the last status stays. One that something else sends stays until the next change.
-spec status_every(Millis :: pos_integer(), status_function()) -> supervisor:child_spec().
status_every(Millis, Function) when is_integer(Millis), Millis > 0, Millis < 1 bsl 32 ->
    systemd_function:is_callable(Function) orelse error(badarg, [Millis, Function]),
    systemd_status_every:child_spec(Millis, Function);
status_every(Millis, Function) ->
    error(badarg, [Millis, Function]).

%% @equiv drainer(Listeners, [])
-spec drainer(listener() | [listener()]) -> supervisor:child_spec().
drainer(Listeners) -> drainer(Listeners, []).

%% @doc A child that drains a server, whichever it is: put it behind the server in the tree.
%% ```
%% Children = [my_server, systemd:drainer("http"), systemd:ready()]
%% '''
%% When it is stopped in a shutdown of the service, also in one for a restart in place:
%% <ul>
%% <li>It takes the listening socket away from the server, which accepts no connection from then on. New ones wait in
%% the queue of the socket, which systemd holds, for the next process.</li>
%% <li>It waits until no request is open, for `timeout' at most. `STATUS=' says how many there are, and the log how long
%% it took and how many are left.</li>
%% </ul>
%% After a crash in the tree it does nothing, and neither does it without `NOTIFY_SOCKET'.
%%
%% A request is open from its first byte until its answer is sent. The kernel knows that of a TCP connection: there is
%% something unread or not yet sent, or the client has sent the last word. Of a connection over a UNIX socket, and of
%% one that has sent and received something within the same few milliseconds, it does not: these are waited for, but 2
%% seconds at most. Connections without a request, such as idle ones, WebSockets and streams, are left to the server's
%% own shutdown. See {@link is_stopping/0} for how to have clients leave by themselves.
%%
%% For a port of the service's own there is no next process: new connections wait until the drain is over, and are
%% closed then.
-spec drainer(listener() | [listener()], [drain_option()]) -> supervisor:child_spec().
drainer(Listeners, Options) -> systemd_drainer:child_spec(Listeners, Options).

%% @doc Whether the service goes down, to stop or to restart in place: from when shutdown begins, before the first child
%% is stopped. An HTTP server then says `connection: close', so that clients ask again by a new connection, which the
%% next process has. `false' outside of systemd.
-spec is_stopping() -> boolean().
is_stopping() -> systemd_lifecycle:is_going_down().

%% @equiv extend_timeout_while(Fun, [])
-spec extend_timeout_while(fun(() -> Result)) -> Result.
extend_timeout_while(Fun) -> extend_timeout_while(Fun, []).

%% @doc Calls `Fun' in the caller's process, and returns what it returns. For as long as it runs, up to the limit, a
%% process of high priority asks the manager for more time, see `EXTEND_TIMEOUT_USEC=' in sd_notify(3): every second for
%% 10 more seconds, while the service starts, reloads or stops, and not while it runs. A VM that hangs for longer gets
%% no more. A migration in the supervision tree, or the work of a `terminate/2', then takes as long as it takes,
%% whatever `TimeoutStartSec=' and `TimeoutStopSec=' say.
%%
%% `Fun' may say how far it is by {@link notify/1}. When it has not returned at the limit no more time is asked for, the
%% log and `STATUS=' say so, and the manager ends the service as the unit has it, unless it is done just then. `Fun'
%% itself is not interrupted. Where no more time can be asked for, it is called all the same, and the log tells.
-spec extend_timeout_while(fun(() -> Result), Options :: [extension()]) -> Result.
extend_timeout_while(Fun, Options) -> systemd_extension:while(Fun, Options).

%% @equiv extend_timeout_while_stopping([])
-spec extend_timeout_while_stopping() -> supervisor:child_spec().
extend_timeout_while_stopping() -> extend_timeout_while_stopping([]).

%% @doc A child that asks for more time, as {@link extend_timeout_while/2} does, from when its supervisor takes it down
%% in a shutdown until the VM is down, for a drain that takes longer than `TimeoutStopSec='. Put it behind the drainer,
%% whose own `shutdown' in its child specification still holds.
-spec extend_timeout_while_stopping(Options :: [extension()]) -> supervisor:child_spec().
extend_timeout_while_stopping(Options) -> systemd_extension:child_spec(Options).

%% @doc Sends one state or a list of them in one datagram, see sd_notify(3).
%%
%% The caller itself sends, without another process. It waits only when the manager's queue is full, for 2 seconds at
%% most, and never raises.
-spec notify(state() | [state()]) -> ok | {error, reason()}.
notify(States) -> systemd_notify:send(States).

%% @equiv barrier(5000)
-spec barrier() -> ok | {error, reason()}.
barrier() -> barrier(5000).

%% @doc Returns when the manager has processed all that was sent before, or `{error, etimedout}' after `Timeout'
%% milliseconds, see sd_notify_barrier(3).
-spec barrier(timeout()) -> ok | {error, reason()}.
barrier(Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout >= 0 ->
    systemd_notify:barrier(Timeout);
barrier(Timeout) ->
    error(badarg, [Timeout]).

%% @doc Manages the watchdog, see sd_watchdog_enabled(3) and `WatchdogSec=' in systemd.service(5).
%%
%% With `WatchdogSec=' in the unit it is enabled from the start, and pings every `WatchdogSec=' / `watchdog_scale' (a
%% config key, 10) for as long as `watchdog_check' passes: see {@link systemd_check}.
%% <ul>
%% <li>`state': the timeout in milliseconds, or `false' when the watchdog is off or disabled.</li>
%% <li>`ping': sends one `WATCHDOG=1' by hand.</li>
%% <li>`trigger': sends `WATCHDOG=trigger', as if the timeout had run out.</li>
%% <li>`disable', `enable': stops the pings, and takes them up again. The manager goes on to expect them, so that a
%% service which disables them has to ping by hand. Where `WATCHDOG_PID' names another process nothing pings until
%% `enable'.</li>
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

%% @doc Does what the config key `reload' says: see {@link reload_function()}. SIGHUP does the same, or the signal that
%% the config key `handle_event' names; none where that is `false'.
%%
%% By default, or with `restart', says `RELOADING=1' and restarts the VM in place by `init:restart/0'. The manager shows
%% `reloading' until the service is ready again; no `STOPPING=1' is sent. When `RELOADING=1' can't be sent, nothing is
%% restarted. Nobody pings the watchdog while the VM restarts: until the service is ready, the manager's timeout is the
%% config key `restart_timeout' (120000 ms) or `WatchdogSec=', whichever is longer.
%%
%% With a function, returns when one that was begun after this call is done: `{error, {reload_failed, Reason}}' when it
%% failed, `{error, stopping}' when the service goes down. Outside of systemd nothing is called.
-spec reload() -> ok | {error, reason()}.
reload() -> systemd_reload:reload().

%% @doc Restarts the VM as {@link reload/0} does by default, with the options of `init:restart/1', and whatever the
%% config key `reload' says.
-spec reload(Options :: [{mode, embedded | interactive}]) -> ok | {error, reason()}.
reload([]) ->
    systemd_reload:restart(fun init:restart/0, []);
reload([{mode, Mode}] = Options) when Mode =:= embedded; Mode =:= interactive ->
    systemd_reload:restart(fun init:restart/1, [Options]);
reload(Options) ->
    error(badarg, [Options]).

%% @doc Whether the system was booted with systemd, see sd_booted(3). It says nothing about this process.
-spec booted() -> {ok, boolean()} | {error, file:posix()}.
booted() ->
    case file:read_link_info("/run/systemd/system", [raw]) of
        {ok, #file_info{type = Type}} -> {ok, Type =:= directory};
        {error, enoent} -> {ok, false};
        {error, enotdir} -> {ok, false};
        {error, Reason} -> {error, Reason}
    end.

%% @doc Whether standard output (`standard_io', `user') or standard error (`standard_error') goes to the journal:
%% `JOURNAL_STREAM' in systemd.exec(5) names it, or the kernel says that it is connected to journald, because the
%% variable names only one of two. `false' for any other device, and outside of systemd.
-spec is_journal(standard_io | standard_error | user | io:device()) -> boolean().
is_journal(Device) -> systemd_logger:is_journal(Device).

%% @doc Unsets the variables of one part of the protocol for child processes. The application does that by itself when
%% it starts, unless the config key `unset_env' is `false'.
-spec unset_env(notify | watchdog | listen_fds) -> ok.
unset_env(Part) when Part =:= notify; Part =:= watchdog; Part =:= listen_fds -> systemd_env:unset(Part);
unset_env(Part) -> error(badarg, [Part]).

%% @doc What this library knows and does, for a health check or metrics. It takes microseconds, asks no process and
%% reads no file. Also outside of systemd, and without this application started: most of it is then `false' or empty.
-spec info() -> info().
info() -> systemd_info:read().

%% @doc Prints what {@link info/0} knows; then what is wrong with the service, its unit and its configuration, and how
%% to mend it. To be called in the VM that runs:
%% ```
%% USE_NODETOOL=1 bin/my_release rpc systemd doctor
%% '''
%% It asks systemctl(1) about the unit, and says so where it can't.
-spec doctor() -> ok.
doctor() -> systemd_doctor:run().

%% @doc The descriptors that the manager handed over, from socket units and from its store, in order: see
%% sd_listen_fds(3). They are open, and child processes don't inherit them. Empty outside of systemd; also, with a line
%% in the log, where `LISTEN_FDS' is meant for another process or does not fit what is there.
%%
%% They stay open for as long as the VM runs, but for a connection that {@link listen_socket/1} has handed out, which is
%% no longer listed.
-spec listen_fds() -> [fd()].
listen_fds() -> systemd_listen:fds().

%% @doc Options that make `gen_tcp:listen/2' take over a listening socket, or `gen_udp:open/2' one for datagrams,
%% whatever its family is. The port is then 0.
%%
%% `{error, {no_such_fd, Name}}' when nothing was handed over under that name: {@link listen_opts/2} then has a port.
%%
%% They have a `backlog' of 4096, because `gen_tcp:listen/2' would replace the socket's own by 5; the kernel limits it
%% (`net.core.somaxconn').
%%
%% The socket may be closed and made again. Have one of them at a time: two sockets of one `{fd, Fd}' take each other's
%% events away.
%%
%% Of `inet', `inet6' and `local' the first one in a list counts: put other options behind these. A `backlog' behind it
%% takes its place. Leave out `ip', which would bind the socket once more.
-spec listen_opts(fd_name() | non_neg_integer()) ->
    {ok, [gen_tcp:listen_option()] | [gen_udp:open_option()]} | {error, reason()}.
listen_opts(NameOrFd) -> systemd_listen:opts(NameOrFd).

%% @doc The port and the options to listen with: on what systemd handed over under that name, or else on that port.
%% ```
%% {ok, Port, Options} = systemd:listen_opts(http, 4000),
%% {ok, Socket} = gen_tcp:listen(Port, Options ++ [inet6, binary, {active, false}])
%% '''
-spec listen_opts(fd_name() | non_neg_integer(), inet:port_number()) ->
    {ok, inet:port_number(), [gen_tcp:listen_option()] | [gen_udp:open_option()]}
    | {error, reason()}.
listen_opts(NameOrFd, Port) when is_integer(Port), Port >= 0, Port < 65536 ->
    systemd_listen:opts(NameOrFd, Port);
listen_opts(NameOrFd, Port) ->
    error(badarg, [NameOrFd, Port]).

%% @doc What systemd handed over under that name, or any descriptor, as a `socket:socket()' that belongs to the caller.
%% Anything but a connection stays open for the next one who asks. A connection is handed out once, and ends when that
%% socket is closed; one from the manager's store, which has a descriptor of it too, when also {@link clear_fds/1} has
%% come there.
-spec listen_socket(fd_name() | non_neg_integer()) -> {ok, socket:socket()} | {error, reason()}.
listen_socket(NameOrFd) -> systemd_listen:socket(NameOrFd).

%% @doc What the kernel says of it. `{error, enotsock}' for anything but a socket, which `/dev/fd/N' opens as a file;
%% `{error, eafnosupport}' for a socket that is neither IP nor UNIX.
-spec listen_info(fd_name() | non_neg_integer()) -> {ok, fd_info()} | {error, reason()}.
listen_info(NameOrFd) -> systemd_listen:info(NameOrFd).

%% @equiv store_fds(Fds, [])
-spec store_fds([storable()]) -> ok | {error, reason()}.
store_fds(Fds) -> store_fds(Fds, []).

%% @doc Has the manager keep descriptors while the service restarts, see `FDSTORE=1' in sd_notify(3). The next process
%% finds them in {@link listen_fds/0}, under the same names; those without a name are called `stored'. Needs
%% `FileDescriptorStoreMax=' in the unit.
%%
%% When one is closed, or a name is illegal, nothing is stored. An error of a later kind, such as `eagain', leaves
%% stored what was sent before it: one message for each name. What is closed after the call returns is stored all the
%% same.
%%
%% The manager drops in silence what is beyond `FileDescriptorStoreMax='. From systemd 254 on it tells the service that
%% number, and more at once, or any where it is 0, is `{error, {fd_store_max, N}}'; before that nobody can know.
%% {@link barrier/1} returns when they are stored.
%%
%% The manager also drops a socket that hangs up. The option `{poll, false}' (`FDPOLL=0') has it keep them.
-spec store_fds([storable()], Options :: [{poll, boolean()}]) -> ok | {error, reason()}.
store_fds(Fds, []) when length(Fds) >= 0 -> systemd_fd_store:store(Fds, true);
store_fds(Fds, [{poll, Poll}]) when length(Fds) >= 0, is_boolean(Poll) -> systemd_fd_store:store(Fds, Poll);
store_fds(Fds, Options) -> error(badarg, [Fds, Options]).

%% @doc Has the manager forget what is stored under these names, see `FDSTOREREMOVE=1' in sd_notify(3). What this
%% process has of them stays open, but for what {@link store_term/2} stored, which is gone here even where the manager
%% could not be told.
-spec clear_fds([fd_name()]) -> ok | {error, reason()}.
clear_fds(Names) when length(Names) >= 0 -> systemd_fd_store:clear(Names);
clear_fds(Names) -> error(badarg, [Names]).

%% @doc Keeps a term over restarts of the service, also after a crash, in the manager's descriptor store: see
%% {@link store_fds/2} for what the unit needs. It takes the place of all that was stored before under that name, which
%% has 236 characters at most, and stays until {@link clear_fds/1} or until the service is stopped. After an error the
%% manager may have neither the old nor the new one.
%%
%% Pids, references, ports and funs of one life mean nothing in the next. The term is in memory that may be swapped out,
%% and that processes of the same user can read under `/proc', as they can read the VM's own.
-spec store_term(fd_name(), term()) -> ok | {error, reason()}.
store_term(Name, Term) -> systemd_fd_store:store_term(Name, Term).

%% @doc The term that was stored last under that name, by this process or by the one before it. `{error, {no_such_fd,
%% Name}}' when there is none, and outside of systemd.
-spec fetch_term(fd_name()) -> {ok, term()} | {error, reason()}.
fetch_term(Name) -> systemd_fd_store:fetch_term(Name).

%% @doc The path of a credential, see `LoadCredential=' in systemd.exec(5) and `$CREDENTIALS_DIRECTORY'. `{error,
%% enoent}' when there is none of that name, and outside of systemd. Also works in `config/runtime.exs', before the
%% application is started.
-spec credentials(credential()) -> {ok, file:filename_all()} | {error, file:posix()}.
credentials(Name) -> systemd_credentials:path(Name).

%% @doc The content of a credential, see {@link credentials/1}. It is never logged.
-spec read_credential(credential()) -> {ok, binary()} | {error, file:posix()}.
read_credential(Name) -> systemd_credentials:read(Name).
