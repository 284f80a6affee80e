defmodule WatchdogBusyTest do
  @moduledoc "The watchdog of a VM that has more to do than it can."
  use ExUnit.Case

  # Both at once, so that each also has to do with half of the machine.
  test "20,000 busy processes for 30 s without a check, and as many with a trivial one: not restarted" do
    units = [
      start("busy", []),
      start("busy-with-check", env: [watchdog_check: {:erlang, :is_atom, [:well]}])
    ]

    for unit <- units, do: Lab.cast(unit, "live_service:busy(20000)")
    Process.sleep(30_000)

    for unit <- units do
      assert %{"ActiveState" => "active", "NRestarts" => "0"} =
               Lab.show_all(unit, ["ActiveState", "NRestarts"])

      # Nor called stuck.
      assert Lab.watchdog_journal(Lab.show(unit, "MainPID")) == []
      assert Lab.show(unit, "StatusText") == "ready"

      # They were there, and never waited.
      seconds = div(String.to_integer(Lab.show(unit, "CPUUsageNSec")), 1_000_000_000)
      assert seconds > 10
      IO.puts("busy for 30 s, #{unit}: #{seconds} s of CPU, no restart")
    end
  end

  defp start(name, options) do
    service = ["WatchdogSec=1", "Restart=on-failure", "RestartSec=500ms"]
    Lab.start_service("watchdog-" <> name, [:ready], [service: service] ++ options)
  end
end
