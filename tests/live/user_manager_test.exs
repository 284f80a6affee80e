defmodule UserManagerTest do
  @moduledoc "Services of `systemctl --user`: what asks the manager asks that one. And those of `--user-unit`."
  use ExUnit.Case, async: true

  @units "/etc/lab/user"
  @home "/var/lab-user"
  @healthy ["WatchdogSec=3s", "Restart=on-failure", "RestartSec=1s", "LimitNOFILE=65536"]

  # Without the session that logind would make for it.
  setup_all do
    for path <- ["/run/live", @units, @home], do: File.mkdir_p!(Lab.path(path))
    File.chmod!(Lab.path("/run/live"), 0o1777)
    File.chown!(Lab.path(@home), 1000)
    # Not every root has this user, without whom systemd 257 starts nothing as it.
    {_, 0} =
      Lab.run("sh", [
        "-c",
        "getent passwd 1000 || echo lab:x:1000:1000::#{@home}:/bin/sh >>/etc/passwd"
      ])

    for target <- ["basic", "shutdown", "exit", "default", "sockets"],
        do:
          File.write!(Lab.path("#{@units}/#{target}.target"), "[Unit]\nDefaultDependencies=no\n")

    Lab.write_unit("user@.service", """
    [Unit]
    DefaultDependencies=no
    [Service]
    User=%i
    Type=notify
    Environment=XDG_RUNTIME_DIR=/run/user-%i SYSTEMD_UNIT_PATH=#{unit_path()} HOME=#{@home}
    RuntimeDirectory=user-%i
    ExecStart=/usr/lib/systemd/systemd --user --unit=basic.target
    Delegate=yes
    TimeoutStopSec=5
    """)

    Lab.systemctl!(["start", "user@1000.service"])
    on_exit(fn -> Lab.run("systemctl", ["stop", "user@1000.service"]) end)
  end

  defp unit_path, do: "#{@home}/.config/systemd/user:#{@units}"

  defp systemctl(args), do: as_user(["systemctl", "--user" | args])

  defp as_user(command) do
    user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"]
    paths = ["XDG_RUNTIME_DIR=/run/user-1000", "SYSTEMD_UNIT_PATH=#{unit_path()}"]
    Lab.run("setpriv", user ++ ["env", "HOME=#{@home}" | paths] ++ command)
  end

  defp show(unit, property) do
    {value, 0} = systemctl(["show", "-p", property, "--value", unit])
    String.trim(value)
  end

  defp await(unit, property, value, timeout \\ 10_000) do
    what = "#{unit}: #{property}=#{value}"
    Lab.await(what, timeout, fn -> show(unit, property) == value end)
  end

  # `change` is for its text.
  defp start(name, service, change) do
    env = [watchdog_check: {:erlang, :==, [1, 1]}]
    text = Lab.service(name, [:ready], env: env, service: @healthy ++ service)
    text = String.replace(text, "HOME=/root", "HOME=/tmp")
    File.write!(Lab.path("#{@units}/#{name}.service"), change.(text))
    assert {_, 0} = systemctl(["start", "#{name}.service"])
    "#{name}.service"
  end

  test "the doctor" do
    unit = start("user-doctor", ["TimeoutStopSec=2", "KillMode=process"], & &1)
    assert %{unit: ^unit, announced: [:ready]} = Lab.eval(unit, "systemd:info()")
    :ok = Lab.eval(unit, ~S|io:format("doctor~n"), systemd:doctor(), io:format("done~n")|)

    [report] =
      Lab.await("its report", fn -> Regex.run(~r/^doctor\n.*^done$/ms, Lab.journal(unit)) end)

    assert report =~ ~r/^warning: KillMode=process /m
    assert report =~ ~r/^notice: TimeoutStopSec=2s: /m
    refute report =~ "systemctl can't be run"
  end

  test "the main process, where a script starts the VM" do
    wrap = &Regex.replace(~r/^ExecStart=(.*)$/m, &1, "ExecStart=/bin/sh -c '\\1; true'")
    unit = start("user-wrapped", ["NotifyAccess=all"], wrap)
    pid = Lab.eval(unit, "os:getpid()")

    Lab.await("its log line", fn ->
      Lab.journal(unit) =~
        ~r/has started the VM \(PID #{pid}\), which is now the unit's main process/
    end)
  end

  # examples/hello by the printed commands, but for that of logind. `drop_in` is for its port.
  defp install(name, switches, drop_in) do
    work = "#{@home}/work-#{name}"
    Lab.copy(Lab.hello(), "#{work}/_build/prod/rel/#{name}")
    bin = Lab.path("#{work}/_build/prod/rel/#{name}/bin")
    File.rename!("#{bin}/hello", "#{bin}/#{name}")
    File.mkdir_p!(Lab.path("#{work}/rel/systemd"))
    File.write!(Lab.path("#{work}/one"), "a secret")

    switches = [user_unit: true, version: "1.0.0", credential: "one"] ++ switches
    files = GeneratedUnit.files(name, switches)
    for {file, text} <- files, do: File.write!(Lab.path("#{work}/rel/systemd/#{file}"), text)
    File.mkdir_p!(Lab.path("#{@units}/#{name}.service.d"))
    lines = ["[Service]", "Environment=GREETING_FILE=/none" | drop_in]
    text = Enum.map(lines, &[&1, "\n"])
    File.write!(Lab.path("#{@units}/#{name}.service.d/port.conf"), text)

    {_, 0} = Lab.run("chown", ["-R", "1000:1000", work])
    script = for "    " <> command <- GeneratedUnit.commands(name, switches), do: command
    assert List.last(script) == "loginctl enable-linger"
    commands = Enum.join(["cd #{work}" | Enum.drop(script, -1)], "\n")
    {output, status} = as_user(["sh", "-ec", commands])
    assert {status, output} == {0, output}, "#{output}#{Lab.journal(name)}"

    for {file, _} <- files do
      path = "#{@home}/.config/systemd/user/#{file}"
      assert {"", 0} = as_user(["systemd-analyze", "--user", "verify", path])
      file
    end
  end

  test "--user-unit: the printed commands start it; ready, status, reload, restart, watchdog" do
    [unit] = install("user-generated", [distribution: 9201], ["Environment=PORT=4201"])
    assert show(unit, "ActiveState") == "active"
    assert show(unit, "StatusText") == "ready"
    assert GeneratedUnit.get(4201, "/") == "hello\n"
    {environment, 0} = Lab.run("cat", ["/proc/#{show(unit, "MainPID")}/environ"])
    state = if Lab.systemd_version() >= 254, do: ".local/state", else: ".config"
    assert environment =~ "HOME=#{@home}/#{state}/user-generated\0"
    [_, credentials] = Regex.run(~r/CREDENTIALS_DIRECTORY=([^\0]+)/, environment)
    assert {"a secret", 0} = as_user(["cat", "#{credentials}/one"])

    text = File.read!(Lab.path("#{@home}/.config/systemd/user/#{unit}"))
    [_, rpc] = Regex.run(~r/^#   (.*) \.\.\.$/m, text)
    name = as_user(["sh", "-c", rpc <> " 'IO.puts(Node.self())'"])
    assert name == {"user-generated@127.0.0.1\n", 0}

    {_, 0} = systemctl(["reload", unit])
    Lab.await("the reload", fn -> show(unit, "StatusText") =~ "reloaded" end)

    pid = show(unit, "MainPID")
    {_, 0} = systemctl(["restart", unit])
    assert show(unit, "MainPID") != pid
    assert GeneratedUnit.get(4201, "/") == "hello\n"

    assert GeneratedUnit.get(4201, "/sick") == "feeling sick\n"
    await(unit, "Result", "watchdog", 20_000)
    await(unit, "NRestarts", "1")
    await(unit, "ActiveState", "active")

    {_, 0} = systemctl(["stop", unit])
    assert show(unit, "Result") == "success"
    {wants, 0} = Lab.run("ls", ["#{@home}/.config/systemd/user/default.target.wants"])
    assert unit in String.split(wants)
  end

  test "--user-unit --socket: the service gets the socket, and a connection starts it" do
    socket = [socket: 4202, systemd: Lab.systemd_version()]
    [unit, socket] = install("user-socket", socket, [])
    assert show(socket, "ActiveState") == "active"
    assert GeneratedUnit.get(4202, "/") == "hello\n"
    {listening, 0} = Lab.run("ss", ["-Htlnp", "( sport = :4202 )"])
    # By systemd too.
    assert listening =~ ~r/"beam.smp".*"systemd"|"systemd".*"beam.smp"/

    {_, 0} = systemctl(["stop", unit])
    assert show(unit, "ActiveState") == "inactive"
    assert GeneratedUnit.get(4202, "/") == "hello\n"
    assert show(unit, "ActiveState") == "active"
    {_, 0} = systemctl(["stop", socket, unit])
  end
end
