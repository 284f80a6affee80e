defmodule ReloadTest do
  use ExUnit.Case

  @children [{:sleep, 300}, :ready]
  @service ["WatchdogSec=5", "Restart=on-failure", "RestartSec=500ms"]

  defp main(unit), do: Lab.show(unit, "MainPID")

  defp count(unit, directory) do
    {output, 0} = Lab.run("ls", ["/proc/#{main(unit)}/#{directory}"])
    output |> String.split() |> length()
  end

  defp reloaded(unit, by) do
    by.()
    Lab.await_property(unit, "ActiveState", "reloading")
    Lab.await_property(unit, "ActiveState", "active")
  end

  test "reload/0: reloading, then active, ten times over, with nothing leaked" do
    unit = Lab.start_service("reload", @children, service: @service)
    before = {main(unit), count(unit, "fd"), count(unit, "task")}

    for _ <- 1..10, do: reloaded(unit, fn -> Lab.cast(unit, "systemd:reload()") end)

    assert Lab.eval(unit, "systemd:watchdog(state)") == 5000
    assert {main(unit), count(unit, "fd"), count(unit, "task")} == before
    refute ["STOPPING=1"] in Lab.notifications(unit)
    IO.puts("10 reloads: pid, descriptors, threads: #{inspect(before)}, before and after")

    # The watchdog works afterwards, in both ways.
    Process.sleep(6000)
    assert {Lab.show(unit, "NRestarts"), Lab.show(unit, "ActiveState")} == {"0", "active"}
    :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, fun() -> false end)")
    Lab.await_property(unit, "Result", "watchdog")
    Lab.await_property(unit, "NRestarts", "1")
  end

  test "SIGHUP reloads" do
    unit = Lab.start_service("sighup", @children)
    pid = main(unit)
    reloaded(unit, fn -> Lab.systemctl!(["kill", "--kill-whom=main", "--signal=HUP", unit]) end)
    assert main(unit) == pid
  end

  test "SIGHUP is left alone with handle_event false" do
    unit = Lab.start_service("no-sighup", @children, env: [handle_event: false])
    assert Lab.eval(unit, "gen_event:which_handlers(erl_signal_server)") == [:erl_signal_handler]
  end
end
