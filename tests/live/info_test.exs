defmodule InfoTest do
  @moduledoc "What a service says of itself, and what its doctor finds in the unit that it runs in."
  use ExUnit.Case, async: true

  @env [install_journal: true, watchdog_check: {:erlang, :==, [1, 1]}]
  @healthy ["WatchdogSec=3s", "Restart=on-failure", "RestartSec=1s", "KillMode=mixed"] ++
             ["TimeoutStopSec=30", "LimitNOFILE=65536"]

  # Which `mix systemd.doctor` has to find in the file, and `Systemd.doctor()` in the service that runs.
  @faulty """
  WatchdogSec=5
  Restart=always
  RestartSec=0
  ExecStop=-/opt/my_app/bin/my_app stop
  ExecReload=/opt/my_app/bin/my_app restart
  ExecStartPost=/bin/sh -c 'for n in 1 2; do sleep 0.1; done'
  ExecStartPost=/bin/true
  RemainAfterExit=true
  KillMode=process
  TimeoutSec=\\
    # of which the first is the longest
    25
  SuccessExitStatus=143 SIGTERM
  LimitNOFILE=1000:4096
  ProtectSystem=strict
  ReadWritePaths=/run/live
  Environment="NAME=my app" RELEASE_TMP=/srv/live/tmp
  RuntimeDirectory=my_app
  MemoryDenyWriteExecute=true
  SyslogLevelPrefix=no
  """

  defp start(name, service \\ []),
    do: Lab.start_service(name, [:ready], env: @env, service: @healthy ++ service)

  # What it finds, from the unit's standard output.
  defp doctor(unit) do
    number = System.unique_integer([:positive])

    :ok =
      Lab.eval(
        unit,
        ~s|io:format("doctor #{number}~n"), systemd:doctor(), io:format("done #{number}~n")|
      )

    Lab.await("the doctor's report", fn ->
      Regex.run(~r/^doctor #{number}$(.*)^done #{number}$/ms, Lab.journal(unit))
    end)
    |> List.last()
    |> String.split("\n")
    |> Enum.filter(&(&1 =~ ~r/^(error|warning|notice): |^nothing is wrong$/))
  end

  test "a healthy unit: what it knows, at 50 µs a call at most, and nothing is wrong" do
    unit = start("healthy")
    pid = String.to_integer(Lab.show(unit, "MainPID"))
    :ok = Lab.eval(unit, ~S|systemd:notify({status, "serving"})|)
    invocation_id = Lab.show(unit, "InvocationID")

    assert %{
             under_systemd: true,
             error: false,
             pid: ^pid,
             exec_pid: ^pid,
             unit: ^unit,
             invocation_id: ^invocation_id,
             announced: [:ready],
             status: "serving",
             notifications: %{sent: sent, failed: 0},
             watchdog: %{timeout: 3000, enabled: true},
             journal: %{
               default: %{path: "/run/systemd/journal/socket", reachable: true, dropped: 0}
             },
             descriptors: %{handed_over: []}
           } = Lab.eval(unit, "systemd:info()")

    assert sent >= 2

    micros =
      Lab.eval(unit, "[element(1, timer:tc(systemd, info, [])) || _ <- lists:seq(1, 10001)]")

    sorted = Enum.sort(micros)

    IO.puts(
      "info/0: #{Enum.at(sorted, 5000)} µs in the median, #{Enum.at(sorted, 9900)} µs for 99 of 100"
    )

    assert Enum.at(sorted, 5000) < 50

    assert doctor(unit) == ["nothing is wrong"]
  end

  test "a unit whose name systemd escapes in the control group" do
    for name <- ["devices", "_x"] do
      unit = start(name)
      assert Lab.show(unit, "ControlGroup") == "/system.slice/_#{unit}"
      assert Lab.eval(unit, "systemd:info()").unit == unit
      assert doctor(unit) == ["nothing is wrong"]
    end
  end

  for {what, name, service, finding} <- [
        {"Type=", "simple", "Type=simple", ~r/^error: Type=simple: .*Set Type=notify$/},
        {"Restart=", "no-restart", "Restart=no", ~r/^warning: .*Set Restart=on-failure$/},
        {"KillMode=", "kill-mode", "KillMode=process", ~r/^warning: KillMode=process /},
        {"WatchdogSec=", "no-watchdog", "WatchdogSec=0", ~r/^notice: no WatchdogSec=/},
        {"MemoryDenyWriteExecute=", "mdwe", "MemoryDenyWriteExecute=yes",
         ~r/^notice: MemoryDenyWriteExecute=yes: /},
        {"a sandbox without journald", "no-journald", "TemporaryFileSystem=/run/systemd/journal",
         ~r/^error: log handler default: nobody listens at .*BindReadOnlyPaths=/},
        {"a unit that may not ask", "no-systemctl", "InaccessiblePaths=/usr/bin/systemctl",
         ~r/^notice: systemctl can't be run.* were not checked$/}
      ] do
    test "one thing: #{what}" do
      unit = start("doctor-#{unquote(name)}", [unquote(service)])
      Lab.await("its control socket", fn -> Lab.up?(unit) end)
      Lab.await("its application", fn -> Lab.eval(unit, "systemd:info()").uptime end)
      assert [finding | rest] = doctor(unit)
      assert finding =~ unquote(Macro.escape(finding))
      assert rest == if(finding =~ "notice", do: ["nothing is wrong"], else: [])
    end
  end

  test "a unit file, and the same unit when it runs" do
    unit = Lab.write_service("doctor-faulty", [:ready], service: [@faulty])
    file = Lab.path("/etc/lab/units/#{unit}")
    File.write!(file, String.replace(File.read!(file), "\n", "\r\n"))
    Lab.systemctl!(["start", unit])
    options = [cd: "../..", env: [{"MIX_ENV", "test"}], stderr_to_stdout: true]
    {output, 1} = System.cmd("mix", ["systemd.doctor", file], options)
    found = output |> String.split("\n") |> Enum.filter(&(&1 =~ ~r/^(error|warning|notice): /))
    assert length(found) == 13
    assert doctor(unit) == found
  end

  test "SyslogLevelPrefix=no, without install_journal" do
    env = Keyword.delete(@env, :install_journal)
    service = @healthy ++ ["SyslogLevelPrefix=no"]
    unit = Lab.start_service("doctor-prefix", [:ready], env: env, service: service)
    assert [finding] = doctor(unit)
    assert finding =~ ~r/^warning: SyslogLevelPrefix=no: .*such as <3>\./
  end

  test "a socket in RuntimeDirectory=, which a stop removes" do
    path = "/run/doctor-socket/http"
    service = @healthy ++ ["RuntimeDirectory=doctor-socket"]
    unit = Lab.write_service("doctor-socket", [:ready], env: @env, service: service)
    Lab.write_socket("doctor-socket", ["ListenStream=#{path}"])
    Lab.systemctl!(["start", "doctor-socket.socket", unit])
    assert [finding] = doctor(unit)
    assert finding =~ ~r"^error: the socket #{path} is in RuntimeDirectory=doctor-socket,"
    Lab.systemctl!(["stop", unit])
    refute File.exists?(Lab.path(path))
    assert Lab.show("doctor-socket.socket", "ActiveState") == "active"
  end

  test "no READY=1" do
    unit = Lab.write_service("doctor-not-ready", [], env: @env, service: @healthy)
    Lab.systemctl!(["start", "--no-block", unit])
    Lab.await("its control socket", fn -> Lab.up?(unit) end)
    Lab.await("its application", fn -> Lab.eval(unit, "systemd:info()").uptime end)
    assert [finding] = doctor(unit)

    assert finding =~
             ~r/^error: no READY=1 was sent in the \d+ s since the start\..*systemd:ready\(\)/

    assert Lab.eval(unit, "systemd:notify(ready), systemd:barrier()") == :ok
    assert doctor(unit) == ["nothing is wrong"]
  end

  test "a script that waits for the VM, with NotifyAccess=main" do
    unit = Lab.write_service("doctor-wrapped", [:ready])
    path = Lab.path("/etc/lab/units/#{unit}")
    text = File.read!(path)
    [_, command] = Regex.run(~r/^ExecStart=(.*)$/m, text)
    Lab.write_unit(unit, String.replace(text, command, "/bin/sh -c '#{command}; true'"))
    Lab.systemctl!(["start", "--no-block", unit])
    Lab.await("its control socket", fn -> Lab.up?(unit) end)
    Lab.await("its application", fn -> Lab.eval(unit, "systemd:info()").announced == [:ready] end)
    shell = Lab.show(unit, "MainPID")
    assert %{pid: pid, exec_pid: exec_pid} = Lab.eval(unit, "systemd:info()")
    assert Integer.to_string(exec_pid) == shell
    assert [finding | _] = doctor(unit)

    assert finding =~
             ~r/^error: NotifyAccess=main: .* process #{pid}, because the main process is #{shell}\. .*NotifyAccess=all$/
  end
end
