defmodule Systemd.Check do
  @moduledoc """
  Ready-made checks for the config key `watchdog_check`.

      config :systemd,
        watchdog_check: [
          {:every, 10_000, {MyApp.Health, :well?, []}},
          {:mailbox, MyApp.Writer, 10_000},
          schedulers: 1000,
          memory: 0.9,
          process: MyApp.Repo
        ]

  | check | passes when |
  | --- | --- |
  | `{:schedulers, millis}` | every scheduler and both dirty pools run something within that time |
  | `{:run_queue, max}` | so many processes and ports wait for a scheduler at most |
  | `{:memory, bytes}`, `{:memory, share}` | so many bytes are resident at most, or that share of `MemoryMax=` is in use |
  | `{:process, name}` | the process answers a system message within 1000 ms |
  | `{:mailbox, name, max}` | so many messages wait in its mailbox at most, as is known within 1000 ms |
  | `{:supervisor, name}` | the supervisor answers within 1000 ms, and restarts no child in vain |
  | `{module, function, args}`, `fun/0` | it returns `true` |
  | `{:all, checks}`, a list | all of them pass |
  | `{:any, checks}` | one of them passes |
  | `{:every, millis, check}` | the check does; for that time it is not asked again |
  | `{:timeout, millis, check}` | the check does within that time |

  A check is a plain term, which configuration can hold where no code of this library may be called yet; each
  function here returns the one of its name.

  They are run one after the other in one process at high priority, at each ping: that is every
  `WatchdogSec=` / `watchdog_scale`. While a check fails the manager gets no `WATCHDOG=1`; the log and
  the status say which one, and why. A term that is no check fails.
  """

  @typedoc "A ready-made check, a function of your own, or a list of these."
  @type check :: :systemd_check.check()

  @typedoc """
  A registered name, `{:global, name}`, `{:via, module, name}` or a pid. A process that is on another node at
  the moment passes: it is that node's matter.
  """
  @type name :: :systemd_check.name()

  @doc "Passes when all of them pass. Stops at the first one that fails."
  @spec all([check]) :: check
  defdelegate all(checks), to: :systemd_check

  @doc "Passes when one of them passes. Stops at the first one that does."
  @spec any(nonempty_list(check)) :: check
  defdelegate any(checks), to: :systemd_check

  @doc """
  When the check has passed, it is not run again for so many milliseconds. One that fails is.

      iex> Systemd.Check.every(10_000, {MyApp.Health, :well?, []})
      {:every, 10_000, {MyApp.Health, :well?, []}}
  """
  @spec every(pos_integer, check) :: check
  defdelegate every(millis, check), to: :systemd_check

  @doc """
  Fails when the check has not returned within so many milliseconds, and kills its process.

  Around `process/1`, `mailbox/2` or `supervisor/1` it is the time that these have.
  """
  @spec timeout(pos_integer, check) :: check
  defdelegate timeout(millis, check), to: :systemd_check

  @doc """
  Every scheduler that is online, the dirty CPU pool and the dirty IO pool each run a process within so many
  milliseconds.

  It has high priority, so that load alone does not fail this check. What blocks a scheduler does: a native
  function that does not return, say. A pool fails when all its threads are busy for so long: let it be more
  than your longest dirty jobs take.
  """
  @spec schedulers(pos_integer) :: check
  defdelegate schedulers(millis), to: :systemd_check

  @doc """
  At most so many processes and ports wait for a scheduler, those that wait for the dirty CPU pool included:
  `total_run_queue_lengths` of `:erlang.statistics/1`.
  """
  @spec run_queue(non_neg_integer) :: check
  defdelegate run_queue(max), to: :systemd_check

  @doc """
  Not more memory is in use than

    * so many bytes, an integer: what of the VM's process is resident, `VmRSS` in proc(5), with all that
      native code has, and not what is swapped out;
    * that share, a float of at most `1.0`, of the unit's `MemoryMax=`, see systemd.resource-control(5): what
      all processes of the control group use, without the file cache, which the kernel takes back. Where the
      unit has no limit, the nearest group above that has one counts.

  Where that can't be told, because there is no limit or no memory controller, it passes, and the log says
  so once.
  """
  @spec memory(pos_integer | float) :: check
  defdelegate memory(limit), to: :systemd_check

  @doc """
  The process answers a system message within 1000 ms, see `timeout/2`.

  All OTP behaviours answer, `GenServer` among them, when they have come to it in their mailbox. Other
  processes don't, unless they handle the messages of `:sys`: `mailbox/2` is for them.
  """
  @spec process(name) :: check
  defdelegate process(name), to: :systemd_check

  @doc "The process has at most so many messages in its mailbox."
  @spec mailbox(name, non_neg_integer) :: check
  defdelegate mailbox(name, max), to: :systemd_check

  @doc """
  The supervisor answers within 1000 ms, see `timeout/2`, and has no child that it tries to restart in vain.

  A child that has returned `:ignore`, is temporary or transient and done, or was terminated by
  `Supervisor.terminate_child/2` is none. Name a `Supervisor` or a `DynamicSupervisor`: another process may
  crash by the question.
  """
  @spec supervisor(name) :: check
  defdelegate supervisor(name), to: :systemd_check
end
