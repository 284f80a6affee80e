defmodule RabbitmqTest do
  @moduledoc "Debian's RabbitMQ, which ships the hex package, on this library in its place."
  use ExUnit.Case

  @moduletag timeout: 120_000
  setup_all do
    Lab.copy(Lab.rabbitmq(), "/opt/rabbitmq")
    [hex] = Path.wildcard(Lab.path("/opt/rabbitmq/plugins/systemd-*"))
    File.rm_rf!(hex)
    Lab.copy(Lab.path("/srv/systemd"), String.replace_prefix(hex, Lab.path(""), ""))
  end

  test "log.journald, unchanged: start with its log lines, rabbitmqctl, reload, stop" do
    for folder <- ["/etc/rabbitmq", "/var/lib/rabbitmq", "/var/log/rabbitmq"],
        do: File.mkdir_p!(Lab.path(folder))

    File.write!(Lab.path("/etc/rabbitmq/rabbitmq.conf"), """
    log.journald = true
    log.file = false
    log.console = false
    """)

    unit =
      Lab.write_unit("rabbitmq.service", """
      [Service]
      Type=notify
      Environment=HOME=/var/lib/rabbitmq LANG=C.UTF-8 RABBITMQ_HOME=/opt/rabbitmq
      Environment=RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq.conf
      Environment=RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq RABBITMQ_LOG_BASE=/var/log/rabbitmq
      Environment=RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins
      ExecStart=/opt/rabbitmq/sbin/rabbitmq-server
      TimeoutStartSec=90
      """)

    assert {_, 0} = Lab.run("systemctl", ["start", unit])

    entries =
      unit |> Lab.entries("export", ["_TRANSPORT=journal"]) |> String.split("\n\n", trim: true)

    assert length(entries) > 100
    [entry] = Enum.filter(entries, &(&1 =~ "Server startup complete; 0 plugins started."))

    for field <- ["SYSLOG_IDENTIFIER=rabbitmq-server", "PRIORITY=6"], do: assert(entry =~ field)
    assert entry =~ ~r/^SYSLOG_TIMESTAMP=/m
    assert entry =~ ~r/^SYSLOG_PID=#{Lab.show(unit, "MainPID")}$/m
    assert entry =~ ~r/^ERL_PID=<0\.\d+\.0>$/m
    assert "READY=1" in List.flatten(Lab.notifications(unit))
    IO.puts("RabbitMQ on this library: #{length(entries)} entries in the journal by its start")

    # As an operator runs it: another VM, which is not the service.
    pid = Lab.show(unit, "MainPID")
    assert ctl(["status"]) =~ "OS PID: #{pid}"
    assert ctl(["eval", "systemd:watchdog(state)."]) =~ "false"
    ctl(["stop_app"])
    ctl(["start_app"])
    assert ctl(["eval", "systemd:notify({status, <<\"by hand\">>})."]) =~ "ok"
    Lab.await_property(unit, "StatusText", "by hand")

    # The VM restarts in place. RabbitMQ has said READY=1 at `start_app` too.
    assert ctl(["eval", "systemd:reload()."]) =~ "ok"
    Lab.await("a reload", 60_000, fn -> ready(unit) == 3 end)
    Lab.await_property(unit, "ActiveState", "active")
    assert Lab.show(unit, "MainPID") == pid
    ctl(["await_startup"])
    assert ctl(["status"]) =~ "OS PID: #{pid}"

    # Neither fails, and each says it once.
    ctl(["stop"])
    Lab.await_property(unit, "ActiveState", "inactive", 60_000)
    assert Lab.show(unit, "Result") == "success"
    assert {_, 0} = Lab.run("systemctl", ["start", unit])
    assert {_, 0} = Lab.run("systemctl", ["stop", unit])
    assert Lab.show(unit, "Result") == "success"
    sent = List.flatten(Lab.notifications(unit))

    assert Enum.frequencies(sent) |> Map.take(["STOPPING=1", "READY=1", "RELOADING=1"]) ==
             %{"STOPPING=1" => 2, "READY=1" => 4, "RELOADING=1" => 1}
  end

  defp ready(unit),
    do: unit |> Lab.notifications() |> List.flatten() |> Enum.count(&(&1 == "READY=1"))

  defp ctl(args) do
    environment = ~w(HOME=/var/lib/rabbitmq LANG=C.UTF-8 RABBITMQ_NODENAME=rabbit@localhost)
    {written, status} = Lab.run("env", environment ++ ["/opt/rabbitmq/sbin/rabbitmqctl" | args])
    assert status == 0, "rabbitmqctl #{Enum.join(args, " ")}: #{written}"
    written
  end
end
