defmodule Systemd do
  @moduledoc """
  Makes an Elixir service a first-class daemon of systemd.

      children = [
        MyApp.Endpoint,
        Systemd.set_status(down: [status: "drained"]),
        MyApp.Drainer,
        Systemd.set_status(down: [status: "draining"]),
        Systemd.ready()
      ]

  With `Type=notify` in the unit, `systemctl start` then returns when the children before
  `ready/0` are up. With `WatchdogSec=` the watchdog runs by itself, and asks the function of
  `config :systemd, watchdog_check: {MyApp.Health, :ok?, []}`, if there is one. `STOPPING=1` is
  sent by itself when shutdown begins.

  Not under systemd, that is without `NOTIFY_SOCKET` in the environment when the application
  starts, every function is a cheap no-op that returns `:ok` or its empty value. Nobody needs to
  guard a call. Under systemd, what can't be sent is `{:error, reason}`, and logged once.

  The Erlang module `:systemd` has the same functions.
  """

  @typedoc """
  One assignment of [sd_notify(3)](https://www.freedesktop.org/software/systemd/man/sd_notify.html).

  `{key, value}` is any other: the key is sent in upper case, so that `{:x_users, 7}` becomes
  `X_USERS=7`. A line break or NUL becomes a space in a status, and is an error in every other
  value. A backslash is sent as two, which the manager reads as one. `:watchdog_usec` changes the
  manager's timeout alone: this application goes on to ping at the interval of `WatchdogSec=`.
  """
  @type state :: :systemd.state()

  @typedoc """
  What to notify when a child starts, and when it is stopped in a shutdown of the service. `nil` is nothing to
  notify.
  """
  @type statuses ::
          %{optional(:up) => state | [state], optional(:down) => state | [state]}
          | [up: state | [state], down: state | [state]]

  @typedoc """
  Why nothing was sent:

    * `:eagain`: the manager's queue was full, and stayed so for 2 seconds;
    * `:no_thread`: what may have to wait for the manager, and no thread could be started that does, see `TasksMax=` in
      systemd.resource-control(5);
    * `:emsgsize`: more than the 4096 bytes that the manager reads of a notification;
    * `:enoent`, `:econnrefused`, …: nobody listens on `NOTIFY_SOCKET`;
    * `:etimedout`: the manager did not come to a `barrier/1` in time;
    * `{:invalid_state, state}`: not a `t:state/0`;
    * `{:invalid_value, key}`: the value under that key breaks a rule of sd_notify(3);
    * `{:invalid_notify_socket, value}`: `NOTIFY_SOCKET` is no absolute path, `@name` or
      `vsock:CID:PORT`, or is too long;
    * `:bad_descriptor`: one of the descriptors is closed, or is none;
    * `{:invalid_fd_name, name}`: not 1 to 255 printable ASCII characters without a colon;
    * `{:no_such_fd, name}`: the manager handed nothing over under that name;
    * `{:several_fds, name, fds}`: it handed over several; take them by their numbers;
    * `{:unfit_fd, info}`: neither `:gen_tcp` nor `:gen_udp` can listen on it;
    * `{:fd_store_max, n}`: the unit may store n descriptors and no more, see
      `FileDescriptorStoreMax=` in systemd.service(5);
    * `{:reload_failed, reason}`: the function of the config key `reload` returned `{:error, reason}`, or
      raised; then `reason` is `{:error | :exit | :throw, what}`;
    * `:stopping`: the service goes down, and is not reloaded any more;
    * `:not_started`: `NOTIFY_SOCKET` is set, and the application `:systemd` is not running: it belongs to the
      project's `deps`, without `runtime: false`;
    * `:nif_not_loaded`: the native library is missing; the log says why.
  """
  @type reason :: :systemd.reason()

  @typedoc """
  What the config key `reload` may be, other than `:restart`: see `Systemd.Reload` for one.

  It is called on SIGHUP and by `reload/0`, one at a time, in a process of its own, between `RELOADING=1`
  and `READY=1`. For all who ask while it runs, it is called once more afterwards.

    * `:ok`, `{:ok, term}` or any other term: it is done. `STATUS=reloaded`, or `STATUS=reloaded: term`,
      with text as it is.
    * `{:error, reason}`, `:error`, an exception: it has failed. `STATUS=reload failed: …`, and the whole
      of it in the log. The service goes on.

  Before the service is ready it is called without `RELOADING=1` and `READY=1`, which would end the
  start-up; when it goes down, not at all, and one that ends then says nothing to the manager.
  """
  @type reload_function :: :systemd.reload_function()

  @typedoc """
  What is not there or not known is `false`. Times are in milliseconds.

    * `under_systemd`: `NOTIFY_SOCKET` was set when this application was started, `uptime` ago;
    * `exec_pid`: the process that the manager has started, `SYSTEMD_EXEC_PID` in systemd.exec(5). Where
      it is not the VM's own `pid`, a script has started the VM;
    * `unit`, `invocation_id`: also where the unit has the VM notify nothing;
    * `error`: why nothing can be sent at all;
    * `status`: the last one sent since this application was started, but not what a native
      thread has put in its place;
    * `notifications`: `sent` counts datagrams, also those of the native threads, such as the pings of the
      watchdog; `failed` the calls that have returned an error, and what those threads could not send;
    * `watchdog`, where there is `WatchdogSec=`: its `timeout`; whether it is `enabled`; `last_answer`, so
      long ago, or `:never`; `last_result`, `:ok`, `:not_checked` before the first one, or what of
      `watchdog_check` has failed; `last_duration` until that answer; for how long an answer is `overdue`, if
      it is;
    * `journal`: the handlers that are a `:systemd_journal_h`, whether journald listens at this moment, and
      how many entries were sent and dropped;
    * `descriptors`: what was handed over at the start, and how many the unit may store, which systemd
      tells from version 254 on.

  All counts begin anew when another version of the native library is loaded.
  """
  @type info :: :systemd.info()

  @typedoc "Computes a status: `{module, function, args}`, or a function without arguments."
  @type status_function :: :systemd.status_function()

  @typedoc """
  `limit`: for how many milliseconds more time is asked for at most; 1,800,000, half an hour, by default.
  `status`: a `STATUS=` to begin with.
  """
  @type extension :: {:limit, pos_integer()} | {:status, IO.chardata()}

  @typedoc """
  A descriptor that the manager handed over, with its name, a charlist, if it has one:
  `FileDescriptorName=` in systemd.socket(5), which is the name of the socket unit by default, or what
  it was stored under.
  """
  @type fd :: :systemd.fd()

  @typedoc "1 to 255 printable ASCII characters without a colon: an atom, a string or a charlist."
  @type fd_name :: :systemd.fd_name()

  @typedoc "What a socket is. `address` is the local one, as `:inet.sockname/1` has it."
  @type fd_info :: :systemd.fd_info()

  @typedoc "A descriptor or a socket, alone or in a pair with the name to store it under."
  @type storable :: :systemd.storable()

  @typedoc "What `LoadCredential=` or `SetCredential=` in systemd.exec(5) call it."
  @type credential :: :systemd.credential()

  @doc """
  A child that says `READY=1` when it is started, see sd_notify(3).

  Its start returns only after the send. Put it behind the children that must be up first. Unless
  the service has set a status already, `STATUS=ready` goes with it. A send that fails is
  logged, and never fails the supervisor. Where the application `:systemd` was not started before, which is an
  error in the log, `READY=1` is sent all the same.
  """
  @spec ready() :: Supervisor.child_spec()
  defdelegate ready(), to: :systemd

  @doc "`ready/0` with a status of your own. With `nil`, without one."
  @spec ready(status :: IO.chardata() | nil) :: Supervisor.child_spec()
  defdelegate ready(status), to: :systemd

  @doc """
  A child that notifies when it is started, and when it is stopped in a shutdown of the service.

      Systemd.set_status(up: [status: "warming up"], down: [status: "draining"])

  Supervisors stop their children from the last to the first: behind a drainer it tells the
  operator when draining begins, in front of it when it is over. Several fit into one
  supervisor. A send that fails is logged, and never fails the supervisor.

  When a crash in the tree stops it, nothing is sent. When it is started again, `up` is.
  """
  @spec set_status(statuses) :: Supervisor.child_spec()
  defdelegate set_status(statuses), to: :systemd

  @doc """
  A child that calls the function every so many milliseconds, for the first time at once, and sends what
  it returns as `STATUS=` when it has changed.

      Systemd.status_every(5_000, &MyApp.Connections.summary/0)

  It has a process of its own. While it hangs it is not called again; when it hangs, raises, or returns
  no text, the log says so once, and the last status stays. One that something else sends stays until the
  next change.
  """
  @spec status_every(pos_integer(), status_function) :: Supervisor.child_spec()
  defdelegate status_every(millis, function), to: :systemd

  @doc """
  Calls `fun` in the caller's process, and returns what it returns.

      Systemd.extend_timeout_while(&MyApp.Release.migrate/0, status: "migrating", limit: 600_000)

  For as long as it runs, up to the limit, a process of high priority asks the manager for more time, see
  `EXTEND_TIMEOUT_USEC=` in sd_notify(3): every second for 10 more seconds, while the service starts, reloads or
  stops, and not while it runs. A VM that hangs for longer gets no more. A migration in the supervision tree, or the work of a `terminate/2`, then takes
  as long as it takes, whatever `TimeoutStartSec=` and `TimeoutStopSec=` say.

  `fun` may say how far it is by `notify/1`. When it has not returned at the limit no more time is asked
  for, the log and `STATUS=` say so, and the manager ends the service as the unit has it, unless it is
  done just then. `fun` itself is not interrupted. Where no more time can be asked for, it is called all
  the same, and the log tells.
  """
  @spec extend_timeout_while((() -> result), [extension]) :: result when result: term
  def extend_timeout_while(fun, options \\ []), do: :systemd.extend_timeout_while(fun, options)

  @doc """
  A child that asks for more time, as `extend_timeout_while/2` does, from when its supervisor takes it down
  in a shutdown until the VM is down, for a drain that takes longer than `TimeoutStopSec=`.

  Put it behind the drainer, whose own `shutdown` in its child specification still holds.
  """
  @spec extend_timeout_while_stopping([extension]) :: Supervisor.child_spec()
  def extend_timeout_while_stopping(options \\ []),
    do: :systemd.extend_timeout_while_stopping(options)

  @doc """
  Sends one state or a list of them in one datagram, see sd_notify(3).

  The caller itself sends, without another process. It waits only when the manager's queue is
  full, for 2 seconds at most, and never raises.

      iex> Systemd.notify(status: "1,204 connections")
      :ok
  """
  @spec notify(state | [state]) :: :ok | {:error, reason}
  defdelegate notify(states), to: :systemd

  @doc """
  Returns when the manager has processed all that was sent before, or `{:error, :etimedout}`
  after `timeout` milliseconds, see sd_notify_barrier(3).
  """
  @spec barrier(timeout) :: :ok | {:error, reason}
  def barrier(timeout \\ 5000), do: :systemd.barrier(timeout)

  @doc """
  Manages the watchdog, see sd_watchdog_enabled(3) and `WatchdogSec=` in systemd.service(5).

  With `WatchdogSec=` in the unit it is enabled from the start, and pings every `WatchdogSec=` /
  `watchdog_scale` (a config key, 10) for as long as `watchdog_check` passes.

    * `:state`: the timeout in milliseconds, or `false` when the watchdog is off or disabled;
    * `:ping`: sends one `WATCHDOG=1` by hand;
    * `:trigger`: sends `WATCHDOG=trigger`, as if the timeout had run out;
    * `:disable`, `:enable`: stops the pings, and takes them up again. The manager goes on to
      expect them, so that a service which disables them has to ping by hand.
  """
  @spec watchdog(:state) :: pos_integer | false
  @spec watchdog(:ping | :trigger) :: :ok | {:error, reason}
  @spec watchdog(:enable | :disable) :: :ok
  defdelegate watchdog(command), to: :systemd

  @doc """
  Does what the config key `reload` says, see `t:reload_function/0`. SIGHUP does the same, unless the config
  key `handle_event` is `false`.

  By default, or with `:restart`, says `RELOADING=1` and restarts the VM in place by `System.restart/0`. The
  manager shows `reloading` until the service is ready again; no `STOPPING=1` is sent. When `RELOADING=1`
  can't be sent, nothing is restarted. Nobody pings the watchdog while the VM restarts: until the service is
  ready, the manager's timeout is the config key `restart_timeout` (120,000 ms) or `WatchdogSec=`, whichever
  is longer.

  With a function, returns when one that was begun after this call is done:
  `{:error, {:reload_failed, reason}}` when it failed, `{:error, :stopping}` when the service goes down.
  Outside of systemd nothing is called.
  """
  @spec reload() :: :ok | {:error, reason}
  defdelegate reload(), to: :systemd

  @doc """
  Restarts the VM as `reload/0` does by default, with the options of `:init.restart/1`, and whatever the
  config key `reload` says.
  """
  @spec reload(mode: :embedded | :interactive) :: :ok | {:error, reason}
  defdelegate reload(options), to: :systemd

  @doc """
  Whether the system was booted with systemd, see sd_booted(3).

  Says nothing about this process: no other function needs it.
  """
  @spec booted() :: {:ok, boolean} | {:error, File.posix()}
  defdelegate booted(), to: :systemd

  @doc """
  Whether standard output (`:standard_io`, `:user`) or standard error (`:standard_error`) goes to
  the journal: `JOURNAL_STREAM` in systemd.exec(5) names it, or the kernel says that it is connected to journald,
  because the variable names only one of two.

  `false` for any other device, and outside of systemd.
  """
  @spec is_journal(:standard_io | :standard_error | :user | IO.device()) :: boolean
  defdelegate is_journal(device), to: :systemd

  @doc """
  Unsets the variables of one part of the protocol for child processes.

  The application does that by itself when it starts, unless the config key `unset_env` is
  `false`.
  """
  @spec unset_env(:notify | :watchdog | :listen_fds) :: :ok
  defdelegate unset_env(part), to: :systemd

  @doc """
  What this library knows and does, for a health check or metrics.

  It takes microseconds, asks no process and reads no file. Also outside of systemd, and without this
  application started: most of it is then `false` or empty.

      iex> Systemd.info().under_systemd
      false
  """
  @spec info() :: info
  defdelegate info(), to: :systemd

  @doc """
  Prints what `info/0` knows; then what is wrong with the service, its unit and its configuration, and how
  to mend it.

      bin/my_app rpc "Systemd.doctor()"

  It asks `systemctl` about the unit, and says so where it can't. `mix systemd.doctor` looks at a unit file
  and the configuration of a project.
  """
  @spec doctor() :: :ok
  defdelegate doctor(), to: :systemd

  @doc """
  The descriptors that the manager handed over, from socket units and from its store, in order:
  see sd_listen_fds(3).

  They are open, and child processes don't inherit them. Empty outside of systemd; also, with a line
  in the log, where `LISTEN_FDS` is meant for another process or does not fit what is there.

  They stay open for as long as the VM runs, but for a connection that `listen_socket/1` has handed
  out, which is no longer listed.

      iex> Systemd.listen_fds()
      []
  """
  @spec listen_fds() :: [fd]
  defdelegate listen_fds(), to: :systemd

  @doc """
  Options that make `:gen_tcp.listen/2` take over a listening socket, or `:gen_udp.open/2` one for
  datagrams, whatever its family is. The port is then 0.

  They have a `backlog` of 4096, because `:gen_tcp.listen/2` would replace the socket's own by 5; the
  kernel limits it (`net.core.somaxconn`).

  The socket may be closed and made again. Have one of them at a time: two sockets of one descriptor
  take each other's events away.

  Of `:inet`, `:inet6` and `:local` the first one in a list counts: put other options behind these. A
  `backlog` behind it takes its place. Leave out `:ip`, which would bind the socket once more.

      iex> Systemd.listen_opts("http")
      {:error, {:no_such_fd, "http"}}
  """
  @spec listen_opts(fd_name | non_neg_integer) ::
          {:ok, [:gen_tcp.listen_option()] | [:gen_udp.open_option()]} | {:error, reason}
  defdelegate listen_opts(name_or_fd), to: :systemd

  @doc """
  The port and the options to listen with: on what systemd handed over under that name, or else on
  that port.

      iex> {:ok, port, options} = Systemd.listen_opts("http", 0)
      iex> {:ok, _socket} = :gen_tcp.listen(port, options ++ [:inet6, :binary, active: false])

  With Bandit, and in the `:http` of a Phoenix endpoint that runs on it:

      {Bandit, plug: MyPlug, port: port, thousand_island_options: [transport_options: options]}

  Thousand Island (1.0 or later) alone:

      {ThousandIsland, handler_module: MyHandler, port: port, transport_options: options}

  Plug.Cowboy, and in the `:http` of a Phoenix endpoint that runs on it:

      {Plug.Cowboy,
       scheme: :http, plug: MyPlug, port: port, transport_options: [socket_opts: options]}

  Cowboy and Ranch alone, one of whose listening sockets is all that one descriptor can be:

      :cowboy.start_clear(:http, %{socket_opts: [{:port, port} | options]}, %{env: env})

  It also works in `config/runtime.exs`, before the application is started.
  """
  @spec listen_opts(fd_name | non_neg_integer, :inet.port_number()) ::
          {:ok, :inet.port_number(), [:gen_tcp.listen_option()] | [:gen_udp.open_option()]}
          | {:error, reason}
  defdelegate listen_opts(name_or_fd, port), to: :systemd

  @doc """
  What systemd handed over under that name, or any descriptor, as a `t::socket.socket/0` that
  belongs to the caller.

  Anything but a connection stays open for the next one who asks. A connection is handed out once, and
  ends when that socket is closed; one from the manager's store, which has a descriptor of it too, when
  also `clear_fds/1` has come there.
  """
  @spec listen_socket(fd_name | non_neg_integer) :: {:ok, :socket.socket()} | {:error, reason}
  defdelegate listen_socket(name_or_fd), to: :systemd

  @doc """
  What the kernel says of it.

  `{:error, :enotsock}` for anything but a socket, which `/dev/fd/N` opens as a file;
  `{:error, :eafnosupport}` for a socket that is neither IP nor UNIX.
  """
  @spec listen_info(fd_name | non_neg_integer) :: {:ok, fd_info} | {:error, reason}
  defdelegate listen_info(name_or_fd), to: :systemd

  @doc """
  Has the manager keep descriptors while the service restarts, see `FDSTORE=1` in sd_notify(3).

      Systemd.store_fds([{socket, "connection"}, {listener, "http"}])

  The next process finds them in `listen_fds/0`, under the same names; those without a name are called
  `stored`. Needs `FileDescriptorStoreMax=` in the unit.

  When one is closed, or a name is illegal, nothing is stored. An error of a later kind, such as
  `:eagain`, leaves stored what was sent before it: one message for each name. What is closed after
  the call returns is stored all the same.

  The manager drops in silence what is beyond `FileDescriptorStoreMax=`. From systemd 254 on it tells
  the service that number, and more at once, or any where it is 0, is
  `{:error, {:fd_store_max, n}}`; before that nobody can know.
  `barrier/1` returns when they are stored.

  The manager also drops a socket that hangs up. The option `poll: false` (`FDPOLL=0`) has it keep
  them.
  """
  @spec store_fds([storable], poll: boolean) :: :ok | {:error, reason}
  def store_fds(fds, options \\ []), do: :systemd.store_fds(fds, options)

  @doc """
  Has the manager forget what is stored under these names, see `FDSTOREREMOVE=1` in sd_notify(3).

  What this process has of them stays open, but for what `store_term/2` stored, which is gone here
  even where the manager could not be told.
  """
  @spec clear_fds([fd_name]) :: :ok | {:error, reason}
  defdelegate clear_fds(names), to: :systemd

  @doc """
  Keeps a term over restarts of the service, also after a crash, in the manager's descriptor store:
  see `store_fds/2` for what the unit needs.

  It takes the place of all that was stored before under that name, which has 236 characters at most,
  and stays until `clear_fds/1` or until the service is stopped. After an error the manager may have
  neither the old nor the new one.

  Pids, references, ports and funs of one life mean nothing in the next. The term is in memory that may
  be swapped out, and that processes of the same user can read under `/proc`, as they can read the VM's
  own.
  """
  @spec store_term(fd_name, term) :: :ok | {:error, reason}
  defdelegate store_term(name, term), to: :systemd

  @doc """
  The term that was stored last under that name, by this process or by the one before it.

      iex> Systemd.fetch_term("state")
      {:error, {:no_such_fd, "state"}}
  """
  @spec fetch_term(fd_name) :: {:ok, term} | {:error, reason}
  defdelegate fetch_term(name), to: :systemd

  @doc """
  The path of a credential, see `LoadCredential=` in systemd.exec(5) and `$CREDENTIALS_DIRECTORY`.

  `{:error, :enoent}` when there is none of that name, and outside of systemd. Also works in
  `config/runtime.exs`, before the application is started.
  """
  @spec credentials(credential) :: {:ok, Path.t()} | {:error, File.posix()}
  defdelegate credentials(name), to: :systemd

  @doc """
  The content of a credential, see `credentials/1`. It is never logged.

      iex> Systemd.read_credential("database_password")
      {:error, :enoent}
  """
  @spec read_credential(credential) :: {:ok, binary} | {:error, File.posix()}
  defdelegate read_credential(name), to: :systemd
end
