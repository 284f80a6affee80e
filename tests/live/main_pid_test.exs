defmodule MainPidTest do
  @moduledoc "A VM that a script starts, and waits for."
  use ExUnit.Case, async: true

  # `ExecStart=` runs a shell that does not exec the VM.
  defp wrap(name, service) do
    unit = Lab.write_service(name, [:ready], service: service)
    path = Lab.path("/etc/lab/units/#{unit}")
    [_, command] = Regex.run(~r/^ExecStart=(.*)$/m, File.read!(path))
    script = "/run/live/#{name}.sh"
    File.write!(Lab.path(script), "#!/bin/sh\n#{command}\necho the VM has ended\n")
    File.chmod!(Lab.path(script), 0o755)
    text = String.replace(File.read!(path), command, script)
    Lab.write_unit(unit, text)
  end

  defp pids(unit) do
    group = "/sys/fs/cgroup#{Lab.show(unit, "ControlGroup")}/cgroup.procs"
    {output, 0} = Lab.run("cat", [group])
    String.split(output)
  end

  test "NotifyAccess=all: becomes the main process, is ready, and is watched" do
    service = ["NotifyAccess=all", "WatchdogSec=2", "Restart=on-failure", "RestartSec=500ms"]
    unit = wrap("wrapped", service)
    {_, status} = Lab.run("systemctl", ["start", unit])
    if status != 0, do: flunk(Lab.journal(unit))
    main = Lab.show(unit, "MainPID")
    assert main == Lab.eval(unit, "os:getpid()") |> to_string()
    assert [shell, ^main | _] = pids(unit)

    Lab.await("its log line", fn ->
      Lab.journal(unit) =~
        "systemd: a script (PID #{shell}) has started the VM (PID #{main}), " <>
          "which is now the unit's main process (MAINPID=)"
    end)

    # Before Linux 6.9 there is none.
    if id = Lab.eval(unit, "systemd_nif:pidfd_id()"),
      do: assert(Lab.journal(unit) =~ "MAINPID=#{main}, MAINPIDFDID=#{id}")

    Process.sleep(4500)
    assert {Lab.show(unit, "ActiveState"), Lab.show(unit, "NRestarts")} == {"active", "0"}
    assert Lab.eval(unit, "systemd:watchdog(state)") == 2000
    # Also after a restart of the VM in place.
    Lab.cast(unit, "init:restart()")
    Lab.await_property(unit, "ActiveState", "reloading")
    Lab.await_property(unit, "ActiveState", "active")
    Process.sleep(2500)
    assert {Lab.show(unit, "MainPID"), Lab.show(unit, "NRestarts")} == {main, "0"}
    assert Lab.eval(unit, "systemd:watchdog(state)") == 2000
    :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, fun() -> false end)")
    Lab.await_property(unit, "NRestarts", "1")
  end

  test "NotifyAccess=main: the log names the setting" do
    unit = wrap("wrapped-main", [])
    Lab.systemctl!(["start", "--no-block", unit])

    Lab.await("its log line", fn ->
      Lab.journal(unit) =~
        ~r/systemd: a script \(PID \d+\) has started the VM \(PID \d+\), and systemd ignores its notifications because of NotifyAccess=main in #{unit}: exec the VM in the script, or set NotifyAccess=all in the unit/
    end)

    assert Lab.show(unit, "ActiveState") == "activating"
  end
end
