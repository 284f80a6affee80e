defmodule WatchdogCostTest do
  @moduledoc "What the watchdog costs a VM that has nothing to do."
  use ExUnit.Case, async: true

  @seconds 60

  test "WatchdogSec=10s: the thread takes less than 0.05 % of a CPU" do
    watched = Lab.start_service("cost-watched", [:ready], service: ["WatchdogSec=10s"])
    other = Lab.start_service("cost-unwatched", [:ready])
    Process.sleep(2000)
    thread = thread(watched)
    before = {runtime(thread), nanos(watched), nanos(other)}
    Process.sleep(@seconds * 1000)
    {thread_millis, watched_nanos, other_nanos} = before
    millis = runtime(thread) - thread_millis
    whole = (nanos(watched) - watched_nanos) / 1.0e6
    without = (nanos(other) - other_nanos) / 1.0e6

    IO.puts(
      "in #{@seconds} s: the thread #{Float.round(millis, 1)} ms of CPU (#{percent(millis)} %); " <>
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

  # On a CPU, in ms.
  defp runtime(thread) do
    {sched, 0} = Lab.run("cat", [Path.join(thread, "sched")])
    [_, millis] = Regex.run(~r/^se\.sum_exec_runtime +: +([0-9.]+)$/m, sched)
    String.to_float(millis)
  end
end
