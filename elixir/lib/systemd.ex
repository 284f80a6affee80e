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
  value. `:watchdog_usec` changes the manager's timeout alone: this application goes on to ping
  at the interval of `WatchdogSec=`.
  """
  @type state :: :systemd.state()

  @typedoc "What to notify when a child starts, and when its supervisor takes it down."
  @type statuses ::
          %{optional(:up) => state | [state], optional(:down) => state | [state]}
          | [up: state | [state], down: state | [state]]

  @typedoc """
  Why nothing was sent:

    * `:eagain`: the manager's queue was full, and stayed so for 2 seconds;
    * `:emsgsize`: more than the 4096 bytes that the manager reads of a notification;
    * `:enoent`, `:econnrefused`, …: nobody listens on `NOTIFY_SOCKET`;
    * `:etimedout`: the manager did not come to a `barrier/1` in time;
    * `{:invalid_state, state}`: not a `t:state/0`;
    * `{:invalid_value, key}`: the value under that key breaks a rule of sd_notify(3);
    * `{:invalid_notify_socket, value}`: `NOTIFY_SOCKET` is no absolute path, `@name` or
      `vsock:CID:PORT`, or is too long;
    * `:nif_not_loaded`: the native library is missing; the log says why.
  """
  @type reason :: :systemd.reason()

  @doc """
  A child that says `READY=1` when it is started, see sd_notify(3).

  Its start returns only after the send. Put it behind the children that must be up first. Unless
  the service has set a status already, `STATUS=ready` goes with it. A send that fails is
  logged, and never fails the supervisor.
  """
  @spec ready() :: Supervisor.child_spec()
  defdelegate ready(), to: :systemd

  @doc "`ready/0` with a status of your own."
  @spec ready(status :: IO.chardata()) :: Supervisor.child_spec()
  defdelegate ready(status), to: :systemd

  @doc """
  A child that notifies when it is started, and when its supervisor takes it down.

      Systemd.set_status(up: [status: "warming up"], down: [status: "draining"])

  Supervisors stop their children from the last to the first: behind a drainer it tells the
  operator when draining begins, in front of it when it is over. Several fit into one
  supervisor. A send that fails is logged, and never fails the supervisor.
  """
  @spec set_status(statuses) :: Supervisor.child_spec()
  defdelegate set_status(statuses), to: :systemd

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
  `watchdog_scale` (a config key, 10) for as long as `watchdog_check` returns `true`.

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
  Says `RELOADING=1` and restarts the VM in place by `:init.restart/0`.

  The manager shows `reloading` until the service is ready again; no `STOPPING=1` is sent. When
  `RELOADING=1` can't be sent, nothing is restarted. SIGHUP does the same, unless the config key
  `handle_event` is `false`.
  """
  @spec reload() :: :ok | {:error, reason}
  defdelegate reload(), to: :systemd

  @doc "`reload/0` with the options of `:init.restart/1`."
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
  the journal, as `JOURNAL_STREAM` says it: see systemd.exec(5).

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
end
