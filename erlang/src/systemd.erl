
%% @doc Makes an Erlang service a first-class daemon of systemd.
%%
%% Put {@link ready/0} at the end of the supervision tree and `Type=notify' into the unit. With `WatchdogSec=' in the
%% unit, the library pings the watchdog, as long as the check of the config key `watchdog_check' passes, if you set one.
%% The library sends `STOPPING=1' when shutdown begins.
%%
%% "Outside of systemd" means that `NOTIFY_SOCKET' was not set when the application started. A function that sends then
%% returns `ok' and does nothing. A function that asks for something returns its empty value, or an error such as
%% `{error, {no_such_fd, Name}}'. You need not guard any call. Under systemd, a send that fails returns
%% `{error, Reason}', and is logged once.
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
%% One assignment of sd_notify(3). `{Key, Value}' is any other assignment. Its key is sent in upper case: `{x_users, 7}'
%% becomes `X_USERS=7'. A line break or NUL in a status becomes a space; in any other value it is an error. A backslash
%% is sent as two, which systemd reads as one. `watchdog_usec' changes only systemd's timeout: this application goes on
%% pinging at the interval of `WatchdogSec='.

-type digits() :: unicode:chardata().
%% A number as text, such as `os:getpid()'.

-type statuses() ::
    #{up => state() | [state()], down => state() | [state()]}
    | [{up | down, state() | [state()]}].
%% What to send when the child starts, and when a shutdown of the service stops it. `undefined' and `nil' send nothing.

-type status_function() :: {module(), atom(), list()} | fun(() -> unicode:chardata()).
%% Computes a status.

-type extension() :: {limit, Millis :: pos_integer()} | {status, unicode:chardata()}.
%% `limit': for how long to ask for more time, 1800000 (half an hour) by default. `status': a `STATUS=' to begin with.

-type reload_function() :: {module(), atom(), list()} | fun(() -> term()).
%% A value of the config key `reload', besides `restart'. SIGHUP and {@link reload/0} call the function, one call at a
%% time, in a process of its own, between `RELOADING=1' and `READY=1'. However many ask while it runs, it runs once more
%% afterwards.
%% <ul>
%% <li>It returns `ok', `{ok, Term}' or any other term: `STATUS=reloaded', or `STATUS=reloaded: Term', with text as it
%% is.</li>
%% <li>It returns `{error, Reason}' or `error', or raises: `STATUS=reload failed: ...', and the log has the details. The
%% service goes on.</li>
%% </ul>
%% After `reload_timeout' (a config key, 90000 ms) the library ends the function, and the reload has failed.
%% {@link extend_timeout_while/2} in the function gives it more time.
%%
%% Before the service is ready, the function is called without `RELOADING=1' and `READY=1', because `READY=1' would end
%% the start-up. While the service stops, the function is not called, and one that still runs sends nothing.

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
%% <li>`eagain': systemd did not read its notifications for 2 seconds.</li>
%% <li>`no_thread': no thread could be started to wait for systemd, see `TasksMax=' in systemd.resource-control(5).</li>
%% <li>`emsgsize': longer than 4096 bytes, the most that systemd reads of a notification.</li>
%% <li>`enoent', `econnrefused', ...: nobody listens on `NOTIFY_SOCKET'.</li>
%% <li>`etimedout': systemd did not reach a {@link barrier/1} in time.</li>
%% <li>`{invalid_state, State}': not a {@link state()}.</li>
%% <li>`{invalid_value, Key}': the value of that key breaks a rule of sd_notify(3).</li>
%% <li>`{invalid_notify_socket, Value}': not an absolute path, `@name' or `vsock:CID:PORT' (`vsock-stream:',
%% `vsock-seqpacket:'), or too long.</li>
%% <li>`bad_descriptor': one of the descriptors is not open.</li>
%% <li>`{invalid_fd_name, Name}': not 1 to 255 printable ASCII characters without a colon.</li>
%% <li>`{no_such_fd, Name}': systemd has passed nothing with that name.</li>
%% <li>`{several_fds, Name, Fds}': systemd has passed several. Take them by their numbers.</li>
%% <li>`{unfit_fd, Info}': neither `gen_tcp' nor `gen_udp' can listen on it.</li>
%% <li>`{fd_store_max, N}': the unit may store no more, see `FileDescriptorStoreMax=' in systemd.service(5).</li>
%% <li>`{reload_failed, Reason}': the function of the config key `reload' returned `{error, Reason}'. If it raised,
%% `Reason' is `{error | exit | throw, What}'.</li>
%% <li>`stopping': the service is stopping, and no longer reloads.</li>
%% <li>`not_started': the application `systemd' is not running. Add it to `applications' of your `.app.src'.</li>
%% <li>`nif_not_loaded': the native library is missing; the log says why.</li>
%% </ul>

-type fd() :: non_neg_integer() | {non_neg_integer(), Name :: string()}.
%% A descriptor that systemd has passed, with its name if it has one: `FileDescriptorName=' in systemd.socket(5), by
%% default the name of the socket unit, or the name it was stored with.

-type fd_name() :: atom() | unicode:chardata().
%% 1 to 255 printable ASCII characters without a colon.

-type listener() :: fd_name() | (Fd :: non_neg_integer()) | {port, inet:port_number()}.
%% What a server listens on: a socket that systemd has passed, by name or number, or a TCP port that the service opens.

-type drain_option() ::
    {timeout, Millis :: pos_integer()} | {status, unicode:chardata()} | {wait, requests | connections}.
%% <ul>
%% <li>`timeout': how long to wait, 30000 by default. Until then the library asks systemd for more time than
%% `TimeoutStopSec='.</li>
%% <li>`status': the text before the number of requests in `STATUS=', "draining" by default.</li>
%% <li>`wait': wait for `requests' (the default), or for `connections', also those without a request.</li>
%% </ul>

-type fd_info() :: #{
    fd := non_neg_integer(),
    family := inet | inet6 | local,
    type := stream | dgram | seqpacket | raw | undefined,
    listening := boolean(),
    connected := boolean(),
    address := {inet:ip_address(), inet:port_number()} | {local, binary()}
}.
%% What a socket is. `address' is the local address, as `inet:sockname/1' returns it.

-type fd_source() :: non_neg_integer() | gen_tcp:socket() | gen_udp:socket() | socket:socket().
%% A descriptor, or a socket that has one.

-type storable() :: fd_source() | {fd_source(), fd_name()}.
%% What to store, and with which name.

-type credential() :: atom() | unicode:chardata().
%% A name from `LoadCredential=' or `SetCredential=' in systemd.exec(5).

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
%% `false' means that something does not exist or is not known. Times are in milliseconds.
%% <ul>
%% <li>`under_systemd': `NOTIFY_SOCKET' was set when this application started, `uptime' ago.</li>
%% <li>`exec_pid': the process that systemd has started, `SYSTEMD_EXEC_PID' in systemd.exec(5). If it is not the VM's
%% own `pid', a script has started the VM.</li>
%% <li>`unit', `invocation_id': known for any `Type=' of the unit.</li>
%% <li>`debug_invocation': systemd has started the service again after a failure, and `RestartMode=debug' in
%% systemd.service(5) asks for debug logs.</li>
%% <li>`error': why nothing can be sent.</li>
%% <li>`status': the last status that this application has sent. It leaves out what a native thread has sent.</li>
%% <li>`notifications': `sent' counts datagrams, including those of the native threads, such as pings. `failed' counts
%% calls that returned an error, and what the threads could not send.</li>
%% <li>`watchdog', if the unit has `WatchdogSec=': its `timeout'; whether it is `enabled'; `last_answer', how long ago
%% the VM answered, or `never'; `last_result', `ok', `not_checked' before the first check, or which part of
%% `watchdog_check' has failed; `last_duration' until that answer; `overdue', for how long an answer is missing.</li>
%% <li>`journal': the handlers with {@link systemd_journal_h}, whether journald listens at this moment, and how many
%% entries were sent and dropped.</li>
%% <li>`descriptors': what was passed at the start, and how many the unit may store, which systemd says from version 254
%% on.</li>
%% </ul>
%% All counts start again at 0 when another version of the native library is loaded.

%% @doc A child that sends `READY=1' when it starts, see sd_notify(3). Its start returns after the send. Put it behind
%% the children that must be up first. If the service has not set a status, `STATUS=ready' goes with it.
%%
%% A send that fails is logged, and never fails the supervisor. If the application `systemd' is not running, the log has
%% an error, and `READY=1' is sent all the same.
-spec ready() -> supervisor:child_spec().
ready() -> systemd_status:ready(default).

%% @doc {@link ready/0} with a status of your own. `undefined' or `nil' sends no status.
-spec ready(Status :: unicode:chardata() | undefined | nil) -> supervisor:child_spec().
ready(Status) -> systemd_status:ready(Status).

%% @doc A child that sends one status when it starts, and another one when a shutdown of the service stops it. Behind a
%% drainer, `systemd:set_status([{down, {status, "draining"}}])' tells the operator when draining begins; in front of
%% the drainer, when it is over.
%%
%% Equal arguments return equal child specifications, whose `id' finds the child in its supervisor. To put two equal
%% ones into one supervisor, give one another id: `(systemd:set_status(Statuses))#{id => another}', in Elixir
%% `Supervisor.child_spec(Systemd.set_status(statuses), id: :another)'.
%%
%% If a crash in the tree stops the child, it sends nothing. When it starts again, it sends `up'.
%%
%% A send that fails is logged, and never fails the supervisor.
-spec set_status(statuses()) -> supervisor:child_spec().
set_status(Statuses) -> systemd_status:child_spec(Statuses).

%% @doc A child that calls the function every `Millis' milliseconds, for the first time at once. It sends the result as
%% `STATUS=' when it has changed:
%% ```
%% systemd:status_every(5000, fun() -> io_lib:format("~b connections", [my_server:count()]) end)
%% '''
%% The function runs in a process of its own. While it hangs, it is not called again. If it hangs, raises, or returns
%% anything but text, the log says so once, and the last status stays. A status from somewhere else stays until the next
%% change.
-spec status_every(Millis :: pos_integer(), status_function()) -> supervisor:child_spec().
status_every(Millis, Function) when is_integer(Millis), Millis > 0, Millis < 1 bsl 32 ->
    systemd_function:is_callable(Function) orelse error(badarg, [Millis, Function]),
    systemd_status_every:child_spec(Millis, Function);
status_every(Millis, Function) ->
    error(badarg, [Millis, Function]).

%% @equiv drainer(Listeners, [])
-spec drainer(listener() | [listener()]) -> supervisor:child_spec().
drainer(Listeners) -> drainer(Listeners, []).

%% @doc A child that drains any server. Put it behind the server in the tree.
%% ```
%% Children = [my_server, systemd:drainer("http"), systemd:ready()]
%% '''
%% A shutdown of the service, or a restart of the VM in place, stops the child. Then:
%% <ul>
%% <li>It takes the listening socket away from the server, which accepts no connection from then on. New connections
%% wait in the queue of the socket, which systemd holds, for the next process.</li>
%% <li>It waits until no request is open, for `timeout' at most. `STATUS=' says how many are open, and the log how long
%% the drain took and how many are left.</li>
%% </ul>
%% After a crash in the tree, and outside of systemd, it does nothing.
%%
%% A request is open from its first byte until its answer is sent. For TCP the kernel knows this: there is unread or
%% unsent data, or the client has sent last. It does not know it for a UNIX socket, nor for a connection that has sent
%% and received within the same few milliseconds; the drainer waits for these for 2 seconds at most. It does not wait
%% for connections without a request, such as idle ones, WebSockets and streams: the server's own shutdown ends them.
%% See {@link is_stopping/0} for how to make clients leave.
%%
%% For a port that the service opens itself, there is no next process: new connections wait until the drain is over, and
%% are then closed.
-spec drainer(listener() | [listener()], [drain_option()]) -> supervisor:child_spec().
drainer(Listeners, Options) -> systemd_drainer:child_spec(Listeners, Options).

%% @doc Whether the service is stopping, or restarting in place: from when shutdown begins, before the first child is
%% stopped. An HTTP server should then answer with `connection: close', so that clients open a new connection, which the
%% next process accepts. `false' outside of systemd.
-spec is_stopping() -> boolean().
is_stopping() -> systemd_lifecycle:is_going_down().

%% @equiv extend_timeout_while(Fun, [])
-spec extend_timeout_while(fun(() -> Result)) -> Result.
extend_timeout_while(Fun) -> extend_timeout_while(Fun, []).

%% @doc Calls `Fun' in the caller's process, and returns its result. Meanwhile a process of high priority asks systemd
%% every second for 10 more seconds, up to the limit, if the service is starting, reloading or stopping: see
%% `EXTEND_TIMEOUT_USEC=' in sd_notify(3). A VM that hangs for 10 seconds gets no more. So a migration in the
%% supervision tree, or the work of a `terminate/2', may take longer than `TimeoutStartSec=' and `TimeoutStopSec='.
%%
%% `Fun' may report its progress by {@link notify/1}. At the limit, the log and `STATUS=' say that no more time is asked
%% for, and the unit's timeout applies. `Fun' itself is not interrupted. If no more time can be asked for, the log says
%% so, and `Fun' runs all the same.
-spec extend_timeout_while(fun(() -> Result), Options :: [extension()]) -> Result.
extend_timeout_while(Fun, Options) -> systemd_extension:while(Fun, Options).

%% @equiv extend_timeout_while_stopping([])
-spec extend_timeout_while_stopping() -> supervisor:child_spec().
extend_timeout_while_stopping() -> extend_timeout_while_stopping([]).

%% @doc A child that asks for more time than `TimeoutStopSec=', as {@link extend_timeout_while/2} does, from when its
%% supervisor stops it in a shutdown until the VM is down. Put it behind a drainer of your own. The `shutdown' in the
%% drainer's child specification still applies.
-spec extend_timeout_while_stopping(Options :: [extension()]) -> supervisor:child_spec().
extend_timeout_while_stopping(Options) -> systemd_extension:child_spec(Options).

%% @doc Sends one state, or a list of states in one datagram, see sd_notify(3).
%%
%% The caller's own process sends. If systemd does not read its notifications, the call waits, for 2 seconds at most. It
%% never raises.
-spec notify(state() | [state()]) -> ok | {error, reason()}.
notify(States) -> systemd_notify:send(States).

%% @equiv barrier(5000)
-spec barrier() -> ok | {error, reason()}.
barrier() -> barrier(5000).

%% @doc Returns when systemd has processed everything that was sent before, or `{error, etimedout}' after `Timeout'
%% milliseconds, see sd_notify_barrier(3).
-spec barrier(timeout()) -> ok | {error, reason()}.
barrier(Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout >= 0 ->
    systemd_notify:barrier(Timeout);
barrier(Timeout) ->
    error(badarg, [Timeout]).

%% @doc Controls the watchdog, see sd_watchdog_enabled(3) and `WatchdogSec=' in systemd.service(5).
%%
%% With `WatchdogSec=' in the unit it is enabled from the start, and pings every `WatchdogSec=' / `watchdog_scale' (a
%% config key, 10) as long as `watchdog_check' passes: see {@link systemd_check}.
%% <ul>
%% <li>`state': the timeout in milliseconds, or `false' if the watchdog is off or disabled.</li>
%% <li>`ping': sends one `WATCHDOG=1' by hand.</li>
%% <li>`trigger': sends `WATCHDOG=trigger', as if the timeout had run out.</li>
%% <li>`disable', `enable': stops and restarts the pings. systemd still expects pings from a service that disables them,
%% so the service has to ping by hand. If `WATCHDOG_PID' names another process, nothing pings until `enable'.</li>
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

%% @doc Does what the config key `reload' says: see {@link reload_function()}. The signal of the config key
%% `handle_event', SIGHUP by default, does the same.
%%
%% By default, or with `restart', it sends `RELOADING=1' and restarts the VM in place by `init:restart/0'. systemd shows
%% `reloading' until the service is ready again. If `RELOADING=1' can't be sent, nothing is restarted. Nobody pings the
%% watchdog while the VM restarts, so until the service is ready systemd's timeout is the config key `restart_timeout'
%% (120000 ms) or `WatchdogSec=', whichever is longer.
%%
%% With a function, it returns when a run that began after this call is done: `{error, {reload_failed, Reason}}' if the
%% run failed, `{error, stopping}' if the service is stopping. Outside of systemd the function is not called.
-spec reload() -> ok | {error, reason()}.
reload() -> systemd_reload:reload().

%% @doc Restarts the VM as {@link reload/0} does by default, with the options of `init:restart/1'. The config key
%% `reload' does not matter.
-spec reload(Options :: [{mode, embedded | interactive}]) -> ok | {error, reason()}.
reload([]) ->
    systemd_reload:restart(fun init:restart/0, []);
reload([{mode, Mode}] = Options) when Mode =:= embedded; Mode =:= interactive ->
    systemd_reload:restart(fun init:restart/1, [Options]);
reload(Options) ->
    error(badarg, [Options]).

%% @doc Whether the machine was booted with systemd, see sd_booted(3). This says nothing about the calling process.
-spec booted() -> {ok, boolean()} | {error, file:posix()}.
booted() ->
    case file:read_link_info("/run/systemd/system", [raw]) of
        {ok, #file_info{type = Type}} -> {ok, Type =:= directory};
        {error, enoent} -> {ok, false};
        {error, enotdir} -> {ok, false};
        {error, Reason} -> {error, Reason}
    end.

%% @doc Whether standard output (`standard_io', `user') or standard error (`standard_error') goes to the journal. It
%% compares with `JOURNAL_STREAM', see systemd.exec(5), and asks the kernel whether the stream is connected to journald,
%% because the variable names only one of the two. `false' for any other device, and outside of systemd.
-spec is_journal(standard_io | standard_error | user | io:device()) -> boolean().
is_journal(Device) -> systemd_logger:is_journal(Device).

%% @doc Unsets the variables of one part of the protocol for child processes. The application does so when it starts,
%% unless the config key `unset_env' is `false'.
-spec unset_env(notify | watchdog | listen_fds) -> ok.
unset_env(Part) when Part =:= notify; Part =:= watchdog; Part =:= listen_fds -> systemd_env:unset(Part);
unset_env(Part) -> error(badarg, [Part]).

%% @doc What this library knows and does, for a health check or metrics. The call takes microseconds, asks no process
%% and reads no file. It also works outside of systemd and without this application started; most values are then
%% `false' or empty.
-spec info() -> info().
info() -> systemd_info:read().

%% @doc Prints {@link info/0}, then what is wrong with the service, its unit and its configuration, and what to change.
%% Call it in the running VM:
%% ```
%% USE_NODETOOL=1 bin/my_release rpc systemd doctor
%% '''
%% It asks systemctl(1) about the unit, and says so if it can't.
-spec doctor() -> ok.
doctor() -> systemd_doctor:run().

%% @doc The descriptors that systemd has passed, from socket units and from its store, in order: see sd_listen_fds(3).
%% They are open, and child processes don't inherit them. Empty outside of systemd. If `LISTEN_FDS' is meant for another
%% process or does not fit, the list is empty too, and the log says why.
%%
%% They stay open as long as the VM runs, except for a connection that {@link listen_socket/1} has handed out, which is
%% no longer listed.
-spec listen_fds() -> [fd()].
listen_fds() -> systemd_listen:fds().

%% @doc Options that make `gen_tcp:listen/2' use a listening socket from systemd, or `gen_udp:open/2' a datagram socket,
%% of any family. The port is then 0.
%%
%% `{error, {no_such_fd, Name}}' if systemd has passed nothing with that name, and outside of systemd: see
%% {@link listen_opts/2}.
%%
%% The options contain a `backlog' of 4096, because `gen_tcp:listen/2' would set it to 5 otherwise; the kernel limits it
%% (`net.core.somaxconn').
%%
%% You may close the socket and open it again. Use the descriptor in one socket at a time: two sockets with one
%% `{fd, Fd}' take each other's events.
%%
%% Only the first of `inet', `inet6' and `local' in a list counts, so put other options behind these. A `backlog' behind
%% them replaces theirs. Leave out `ip', which would bind the socket again.
-spec listen_opts(fd_name() | non_neg_integer()) ->
    {ok, [gen_tcp:listen_option()] | [gen_udp:open_option()]} | {error, reason()}.
listen_opts(NameOrFd) -> systemd_listen:opts(NameOrFd).

%% @doc The port and the options to listen with: port 0 and those of {@link listen_opts/1} if systemd has passed a
%% descriptor with that name, otherwise `Port' and no options.
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

%% @doc A descriptor that systemd has passed, or any other descriptor, as a `socket:socket()' that belongs to the
%% caller. A connection is handed out once, and ends when you close that socket; one from the descriptor store ends when
%% you also call {@link clear_fds/1}. Anything else stays open, and can be asked for again.
-spec listen_socket(fd_name() | non_neg_integer()) -> {ok, socket:socket()} | {error, reason()}.
listen_socket(NameOrFd) -> systemd_listen:socket(NameOrFd).

%% @doc What the kernel says about a descriptor. `{error, enotsock}' for anything but a socket, which you can open as
%% the file `/dev/fd/N'. `{error, eafnosupport}' for a socket that is neither IP nor UNIX.
-spec listen_info(fd_name() | non_neg_integer()) -> {ok, fd_info()} | {error, reason()}.
listen_info(NameOrFd) -> systemd_listen:info(NameOrFd).

%% @equiv store_fds(Fds, [])
-spec store_fds([storable()]) -> ok | {error, reason()}.
store_fds(Fds) -> store_fds(Fds, []).

%% @doc Stores descriptors in systemd while the service restarts, see `FDSTORE=1' in sd_notify(3). The next process
%% finds them in {@link listen_fds/0}, with the same names; those without a name get the name `stored'. The unit needs
%% `FileDescriptorStoreMax='.
%%
%% If a descriptor is not open, or a name is invalid, nothing is stored. After a later error, such as `eagain', what was
%% sent before stays stored; each name is one message. You may close the descriptors as soon as the call has returned.
%%
%% systemd silently drops what exceeds `FileDescriptorStoreMax='. From systemd 254 on the service knows that number, and
%% storing more in one call, or anything if it is 0, returns `{error, {fd_store_max, N}}'. {@link barrier/1} returns
%% when the descriptors are stored.
%%
%% systemd also drops a socket that hangs up. With the option `{poll, false}' (`FDPOLL=0') it keeps them.
-spec store_fds([storable()], Options :: [{poll, boolean()}]) -> ok | {error, reason()}.
store_fds(Fds, []) when length(Fds) >= 0 -> systemd_fd_store:store(Fds, true);
store_fds(Fds, [{poll, Poll}]) when length(Fds) >= 0, is_boolean(Poll) -> systemd_fd_store:store(Fds, Poll);
store_fds(Fds, Options) -> error(badarg, [Fds, Options]).

%% @doc Makes systemd forget what is stored with these names, see `FDSTOREREMOVE=1' in sd_notify(3). The descriptors of
%% this process stay open. A term that {@link store_term/2} stored is gone in this process too, even if systemd could
%% not be reached.
-spec clear_fds([fd_name()]) -> ok | {error, reason()}.
clear_fds(Names) when length(Names) >= 0 -> systemd_fd_store:clear(Names);
clear_fds(Names) -> error(badarg, [Names]).

%% @doc Stores a term in systemd's descriptor store over restarts of the service, also after a crash: see
%% {@link store_fds/2} for what the unit needs. It replaces everything that was stored with that name, which may have
%% 236 characters. It stays until {@link clear_fds/1}, or until the service is stopped. After an error systemd may have
%% neither the old nor the new term.
%%
%% Pids, references, ports and funs of one VM mean nothing in the next one. The term is in memory that may be swapped
%% out, and that processes of the same user can read under `/proc', as they can read the VM's own.
-spec store_term(fd_name(), term()) -> ok | {error, reason()}.
store_term(Name, Term) -> systemd_fd_store:store_term(Name, Term).

%% @doc The term that was stored last with that name, by this process or by the one before it.
%% `{error, {no_such_fd, Name}}' if there is none, and outside of systemd.
-spec fetch_term(fd_name()) -> {ok, term()} | {error, reason()}.
fetch_term(Name) -> systemd_fd_store:fetch_term(Name).

%% @doc The path of a credential, see `LoadCredential=' in systemd.exec(5) and `$CREDENTIALS_DIRECTORY'.
%% `{error, enoent}' if there is no such credential, and outside of systemd. It also works in `config/runtime.exs',
%% before the application is started.
-spec credentials(credential()) -> {ok, file:filename_all()} | {error, file:posix()}.
credentials(Name) -> systemd_credentials:path(Name).

%% @doc The content of a credential, see {@link credentials/1}. It is never logged.
-spec read_credential(credential()) -> {ok, binary()} | {error, file:posix()}.
read_credential(Name) -> systemd_credentials:read(Name).
