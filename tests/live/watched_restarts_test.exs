defmodule WatchedRestartsTest do
  @moduledoc "The VM restarts in place, again and again."
  use ExUnit.Case, async: true

  # 105 s alone on two slow cores: each restart in place takes OTP more than a second.
  @moduletag timeout: 240_000

  @children [{:sleep, 100}, :ready]
  @service ["WatchdogSec=2", "Restart=on-failure", "RestartSec=500ms"]

  defp main(unit), do: Lab.show(unit, "MainPID")

  defp kilobytes(unit) do
    {status, 0} = Lab.run("cat", ["/proc/#{main(unit)}/status"])
    [_, kilobytes] = Regex.run(~r/^VmRSS:\s+(\d+) kB$/m, status)
    String.to_integer(kilobytes)
  end

  test "50 restarts of the VM, by init:restart and by reload/0: nothing leaked, watched throughout" do
    alone = Task.async(&grown_alone/0)
    unit = Lab.start_service("reload", @children, service: @service)
    by = fn expression -> Lab.restarted(unit, fn -> Lab.cast(unit, expression) end) end
    # The first ones fill what the VM and the C library keep.
    for _ <- 1..5, do: by.("init:restart()")
    before = {main(unit), Lab.count(unit, "fd"), Lab.count(unit, "task")}
    kilobytes = kilobytes(unit)

    for n <- 1..45, do: by.(Enum.at(["init:restart()", "systemd:reload()"], rem(n, 2)))

    assert Lab.eval(unit, "systemd:watchdog(state)") == 2000
    assert {main(unit), Lab.count(unit, "fd"), Lab.count(unit, "task")} == before
    refute ["STOPPING=1"] in Lab.notifications(unit)
    Lab.await_property(unit, "WatchdogUSec", "2s")

    grown = (kilobytes(unit) - kilobytes) / 45
    alone = Task.await(alone, 60_000)

    IO.puts(
      "50 restarts of the VM: pid, descriptors, threads #{inspect(before)} before and after; " <>
        "each took #{round(grown)} kB of resident memory, and #{round(alone)} kB of a VM that only loads the modules"
    )

    # In kB: a library that stays mapped would be 700. What the allocators keep differs by 150.
    assert grown < alone + 300

    # The watchdog works afterwards, in both ways.
    Process.sleep(3000)
    assert {Lab.show(unit, "NRestarts"), Lab.show(unit, "ActiveState")} == {"0", "active"}
    :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, fun() -> false end)")
    Lab.await_property(unit, "Result", "watchdog")
    Lab.await_property(unit, "NRestarts", "1")
  end

  # OTP keeps more than a megabyte of each restart.
  defp grown_alone do
    args = [
      "-noinput",
      "-pa",
      "/srv/systemd/ebin",
      "/srv/live/ebin",
      "-s",
      "live_restarts",
      "run"
    ]

    {output, 0} = Lab.run("erl", args ++ ["20", "5"])
    String.to_integer(output) / 15
  end
end
