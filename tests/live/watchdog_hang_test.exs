defmodule WatchdogHangTest do
  @moduledoc "What the watchdog tells of a VM that hangs, and does about it."
  use ExUnit.Case, async: true

  @overdue "60a1aff5e5b4472f808cf286e0bd5370"
  @threads "87b9dbbc7e4249a2a1864625b23895f6"
  @answered "468203152ce647a19f6e7145fb69969c"
  @hangs "575a2a16c73e487f9bc8d0f137a9b4ad"

  defp start(name, seconds, env \\ [], more \\ []) do
    service = ["WatchdogSec=#{seconds}", "Restart=on-failure", "RestartSec=500ms"] ++ more
    unit = Lab.start_service("watchdog-hang-#{name}", [:ready], service: service, env: env)
    {unit, Lab.show(unit, "MainPID")}
  end

  defp hanging_check(unit) do
    :ok =
      Lab.eval(
        unit,
        "application:set_env(systemd, watchdog_check, fun() -> receive never -> ok end end)"
      )
  end

  # As the manager has logged it: the status itself may be over before it is seen.
  defp await_report(unit) do
    Lab.await("STATUS= of the watchdog", fn ->
      Enum.any?(Lab.notifications(unit), &(hd(&1) =~ "STATUS=watchdog: VM unresponsive"))
    end)
  end

  defp assert_restarted(unit, result) do
    Lab.await_property(unit, "Result", result)
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")
  end

  test "all schedulers blocked in a NIF: the journal and the status say so before the kill" do
    {unit, pid} = start("blocked", 2)
    Lab.cast(unit, "live_service:block(60000)")
    await_report(unit)

    assert Lab.show_all(unit, ["ActiveState", "NRestarts"]) ==
             %{"ActiveState" => "active", "NRestarts" => "0"}

    Lab.await("the entry about the threads", fn ->
      Lab.fields(pid, @threads, ["MESSAGE"]) != [[]]
    end)

    assert [[usec], [message], [priority], [run_queues]] =
             Lab.fields(pid, @overdue, [
               "SYSTEMD_BEAM_OVERDUE_USEC",
               "MESSAGE",
               "PRIORITY",
               "SYSTEMD_BEAM_RUN_QUEUES"
             ])

    assert String.to_integer(usec) in 1_000_000..1_500_000
    assert priority == "2"
    assert run_queues =~ ~r/^\d+( \d+)+ \(\d+ ms ago\)$/

    assert message =~
             ~r/^watchdog: VM unresponsive for 1\d\d\d ms; the watchdog process was not scheduled/

    assert [[threads], schedulers, ["2"], [memory], dirty] =
             Lab.fields(pid, @threads, [
               "MESSAGE",
               "SYSTEMD_BEAM_SCHEDULERS",
               "PRIORITY",
               "SYSTEMD_BEAM_MEMORY",
               "SYSTEMD_BEAM_DIRTY_IO_SCHEDULERS"
             ])

    assert String.to_integer(memory) in 10_000_000..1_000_000_000
    assert threads =~ ~r/^watchdog: schedulers: 1-\d+ stuck in hrtimer_nanosleep; dirty CPU: /
    assert length(schedulers) > 1
    assert length(dirty) > 1
    for line <- schedulers, do: assert(line =~ ~r/S hrtimer_nanosleep 0 ms$/)
    IO.puts("all blocked: #{message}\n#{threads}")
    assert_restarted(unit, "watchdog")
  end

  test "a stall of half the timeout: no restart, three entries, the status comes back" do
    {unit, pid} = start("stall", 2)
    :ok = Lab.eval(unit, ~S|systemd:notify({status, "all is well"})|)
    Lab.cast(unit, "live_service:block(1500)")
    await_report(unit)
    Lab.await_property(unit, "StatusText", "all is well")
    Process.sleep(2500)

    assert %{"ActiveState" => "active", "NRestarts" => "0"} =
             Lab.show_all(unit, ["ActiveState", "NRestarts"])

    assert [_, _, _] = Lab.watchdog_journal(pid)
    assert [["watchdog: VM unresponsive" <> _]] = Lab.fields(pid, @overdue, ["MESSAGE"])

    assert [[message], [usec]] =
             Lab.fields(pid, @answered, ["MESSAGE", "SYSTEMD_BEAM_STALL_USEC"])

    assert message =~ ~r/^watchdog: VM responsive again after 1\d\d\d ms$/
    assert String.to_integer(usec) in 1_200_000..1_700_000
    IO.puts("a stall: #{message}")
  end

  test "watchdog_warn_after: told of earlier" do
    {unit, pid} = start("early", 10, watchdog_warn_after: 300)
    Lab.cast(unit, "live_service:block(1500)")
    await_report(unit)
    Lab.await_property(unit, "StatusText", "ready")
    assert [[usec]] = Lab.fields(pid, @overdue, ["SYSTEMD_BEAM_OVERDUE_USEC"])
    assert String.to_integer(usec) in 300_000..900_000
  end

  test "a check that hangs: what it is, and where" do
    {unit, pid} = start("check", 2)
    hanging_check(unit)
    await_report(unit)
    assert [[message], [check]] = Lab.fields(pid, @overdue, ["MESSAGE", "SYSTEMD_BEAM_CHECK"])
    assert message =~ "; checking #{check}; run queues: "
    assert check =~ "#Fun<"
    assert_restarted(unit, "watchdog")

    assert Lab.journal(unit) =~
             ~r/the function of watchdog_check has not returned after \d+ ms; it is at \[{/

    IO.puts("a check: #{message}")
  end

  test "trigger: the manager is told before its timeout runs out" do
    {unit, pid} = start("trigger", 6, watchdog_on_hang: :trigger)
    Lab.cast(unit, "live_service:block(60000)")

    {millis, _} = Lab.timed(fn -> Lab.await_property(unit, "Result", "watchdog") end)
    IO.puts("trigger: Result=watchdog after #{millis} ms of 6000")
    # The manager's own words for WATCHDOG=trigger; of its timeout it says "Watchdog timeout".
    assert [_, _ | _] = String.split(Lab.journal(unit), ": Watchdog request (last status: ")
    refute Lab.journal(unit) =~ "Watchdog timeout"
    assert [[message]] = Lab.fields(pid, @hangs, ["MESSAGE"])

    assert message =~
             ~r/VM unresponsive for \d+ ms; watchdog_on_hang: WATCHDOG=trigger is sent/

    assert_restarted(unit, "watchdog")
  end

  test "abort: SIGABRT, also where WatchdogSignal= is another one" do
    {unit, pid} = start("abort", "4\nWatchdogSignal=SIGKILL", watchdog_on_hang: :abort)
    Lab.cast(unit, "live_service:block(60000)")
    assert_restarted(unit, "signal")
    assert Lab.journal(unit) =~ "code=killed, status=6/ABRT"
    assert [[message]] = Lab.fields(pid, @hangs, ["MESSAGE"])
    assert message =~ "watchdog_on_hang: the VM is aborted"
  end

  test "a crash dump, when a check hangs" do
    path = "/run/live/hang.dump"

    {unit, _} =
      start("dump", 4, [watchdog_crash_dump: path], ["Environment=ERL_CRASH_DUMP_SECONDS=0"])

    hanging_check(unit)
    {millis, _} = Lab.timed(fn -> Lab.await_property(unit, "Result", "exit-code") end)
    assert_restarted(unit, "exit-code")
    dump = File.read!(Lab.path(path))
    assert dump =~ "Slogan: systemd: watchdog_check hangs"
    assert String.ends_with?(dump, "=end\n")
    IO.puts("crash dump: #{byte_size(dump)} bytes, ended after #{millis} ms of 4000")
  end

  test "no crash dump of a VM that comes back just in time" do
    path = "/run/live/back.dump"
    {unit, pid} = start("back", 10, watchdog_crash_dump: String.to_charlist(path))
    :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, {run_queue, 100000})")
    # The hang is told of 8.5 s after the last ping, at most.
    Lab.cast(unit, "live_service:block(8600)")
    await_report(unit)
    Lab.await_property(unit, "StatusText", "ready", 15_000)
    assert [[message]] = Lab.fields(pid, @answered, ["MESSAGE"])
    assert message =~ ~r/VM responsive again after [78]\d\d\d ms$/

    assert Lab.show_all(unit, ["ActiveState", "NRestarts"]) == %{
             "ActiveState" => "active",
             "NRestarts" => "0"
           }

    refute File.exists?(Lab.path(path))
  end

  test "no crash dump, when no scheduler runs: the manager's timeout" do
    path = "/run/live/blocked.dump"
    {unit, _} = start("no-dump", 2, watchdog_crash_dump: String.to_charlist(path))
    Lab.cast(unit, "live_service:block(60000)")
    assert_restarted(unit, "watchdog")
    refute File.exists?(Lab.path(path))
  end
end
