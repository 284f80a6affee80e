defmodule StuckSchedulerTest do
  @moduledoc "One scheduler is stuck in native code, and another one is free."
  use ExUnit.Case, async: true

  @stuck "7d3fee76a14c41a7996ec6e31d08820e"
  @runs_again "06d5c48f3496480bb38101d27d5c5855"

  defp start(name, env) do
    unit =
      Lab.start_service("stuck-scheduler-#{name}", [:ready],
        service: ["WatchdogSec=2", "Restart=on-failure", "Environment=\"ERL_FLAGS=+S 2:2\""],
        env: env
      )

    {unit, Lab.show(unit, "MainPID")}
  end

  test "for three times WatchdogSec=: no restart, and the journal says which and where" do
    {unit, pid} = start("one", [])
    Lab.cast(unit, "register(culprit, self()), live_block:block(6000), unregister(culprit)")

    Lab.await("the end of it", 15_000, fn ->
      Lab.fields(pid, @runs_again, ["MESSAGE"]) != [[]]
    end)

    fields = [
      "MESSAGE",
      "PRIORITY",
      "SYSTEMD_BEAM_STUCK_SCHEDULERS",
      "SYSTEMD_BEAM_STUCK_USEC",
      "SYSTEMD_BEAM_STUCK_PROCESSES"
    ]

    assert [[message], ["4"], [number], [usec], [processes]] = Lab.fields(pid, @stuck, fields)
    assert number in ["1", "2"]
    assert String.to_integer(usec) in 1_000_000..2_000_000
    assert processes =~ ~r/^<[\d.]+> \(culprit\)$/

    assert message =~
             ~r/^watchdog: scheduler #{number} has run nothing for \d+ ms, while others run; not answering: <.* \(culprit\); schedulers: .*#{number} stuck in hrtimer_nanosleep/

    assert [[ended], ["4"], [^number], [lasted]] =
             Lab.fields(pid, @runs_again, Enum.take(fields, 4))

    assert ended =~ ~r/^watchdog: scheduler #{number} has run again, after \d+ ms$/
    assert String.to_integer(lasted) in 5_000_000..7_000_000

    # Beyond half of the timeout it is the status as well.
    statuses = for [text | _] <- Lab.notifications(unit), text =~ "STATUS=", do: text
    assert Enum.any?(statuses, &(&1 =~ "STATUS=watchdog: scheduler #{number} has run nothing"))
    Lab.await_property(unit, "StatusText", "ready")
    assert Lab.show_all(unit, ["NRestarts", "MainPID"]) == %{"NRestarts" => "0", "MainPID" => pid}
    IO.puts("one of two: #{message}")
  end

  test "with the check of schedulers: a restart, and why" do
    {unit, _} = start("check", watchdog_check: [{:schedulers, 1000}])
    Lab.cast(unit, "live_block:block(60000)")
    Lab.await_property(unit, "NRestarts", "1", 10_000)

    # The log's own line may have to wait: with a scheduler stuck the VM loads no code.
    assert Lab.journal(unit) =~
             ~r/STATUS=watchdog: schedulers: scheduler [12] has not run anything for \d+ ms/
  end
end
