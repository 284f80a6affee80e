defmodule UserManagerTest do
  @moduledoc "Services of `systemctl --user`: what asks the manager asks that one."
  use ExUnit.Case, async: true

  @units "/etc/lab/user"
  @healthy ["WatchdogSec=3s", "Restart=on-failure", "RestartSec=1s", "LimitNOFILE=65536"]

  # Without the session that logind would make for it.
  setup_all do
    File.mkdir_p!(Lab.path(@units))
    for path <- ["/run/live", @units], do: File.mkdir_p!(Lab.path(path))
    File.chmod!(Lab.path("/run/live"), 0o1777)

    for target <- ["basic", "shutdown", "exit"],
        do:
          File.write!(Lab.path("#{@units}/#{target}.target"), "[Unit]\nDefaultDependencies=no\n")

    Lab.write_unit("user@.service", """
    [Unit]
    DefaultDependencies=no
    [Service]
    User=%i
    Type=notify
    Environment=XDG_RUNTIME_DIR=/run/user-%i SYSTEMD_UNIT_PATH=#{@units} HOME=/tmp
    RuntimeDirectory=user-%i
    ExecStart=/usr/lib/systemd/systemd --user --unit=basic.target
    Delegate=yes
    TimeoutStopSec=5
    """)

    Lab.systemctl!(["start", "user@1000.service"])
    on_exit(fn -> Lab.run("systemctl", ["stop", "user@1000.service"]) end)
  end

  defp systemctl(args) do
    user = ["--reuid", "1000", "--regid", "1000", "--clear-groups"]
    env = ["env", "XDG_RUNTIME_DIR=/run/user-1000", "systemctl", "--user"]
    Lab.run("setpriv", user ++ env ++ args)
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
    :ok = Lab.eval(unit, ~s|systemd:doctor(), io:format("done~n")|)
    Lab.await("its report", fn -> Lab.journal(unit) =~ "\ndone\n" end)
    assert Lab.journal(unit) =~ ~r/^warning: KillMode=process /m
    assert Lab.journal(unit) =~ ~r/^notice: TimeoutStopSec=2s: /m
    refute Lab.journal(unit) =~ "systemctl can't be asked"
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
end
