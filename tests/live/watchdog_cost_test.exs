defmodule WatchdogCostTest do
  @moduledoc "What the watchdog costs a VM that has nothing to do."
  use ExUnit.Case, async: true

  @seconds 60

  test "WatchdogSec=10s: the thread takes less than 0.05 % of a CPU" do
    watched = Lab.start_service("cost-watched", [:ready], service: ["WatchdogSec=10s"])
    other = Lab.start_service("cost-unwatched", [:ready])
    Process.sleep(2000)
    thread = thread(watched)
    before = {clock_ticks(thread), nanos(watched), nanos(other)}
    Process.sleep(@seconds * 1000)
    {ticks, watched_nanos, other_nanos} = before
    millis = (clock_ticks(thread) - ticks) * 10
    whole = (nanos(watched) - watched_nanos) / 1.0e6
    without = (nanos(other) - other_nanos) / 1.0e6

    IO.puts(
      "in #{@seconds} s: the thread #{millis} ms of CPU (#{percent(millis)} %); " <>
        "the service #{percent(whole)} %, one without a watchdog #{percent(without)} %"
    )

    pings = length(Regex.scan(~r/WATCHDOG=1\b/, Lab.journal(watched)))
    assert pings >= @seconds - 2
    assert Lab.show(watched, "NRestarts") == "0"
    assert percent(millis) < 0.05
  end

  defp percent(millis), do: Float.round(millis / @seconds / 10, 4)

  defp nanos(unit), do: String.to_integer(Lab.show(unit, "CPUUsageNSec"))

  defp thread(unit) do
    {names, 0} =
      Lab.run("sh", ["-c", "grep -l sd-watchdog /proc/#{Lab.show(unit, "MainPID")}/task/*/comm"])

    [comm] = String.split(names)
    Path.dirname(comm)
  end

  # In user mode and in the kernel, each 10 ms long: see proc(5).
  defp clock_ticks(thread) do
    {stat, 0} = Lab.run("cat", [Path.join(thread, "stat")])
    fields = stat |> String.split(") ") |> List.last() |> String.split()
    String.to_integer(Enum.at(fields, 11)) + String.to_integer(Enum.at(fields, 12))
  end
end
