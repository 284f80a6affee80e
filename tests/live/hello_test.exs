defmodule HelloTest do
  @moduledoc "examples/hello, as a release, with the units that come with it."
  use ExUnit.Case, async: true

  @hello Path.expand("../../examples/hello", __DIR__)

  setup_all do
    Lab.copy(Lab.hello(), "/opt/hello")
  end

  defp write(unit), do: Lab.write_unit(unit, File.read!(Path.join([@hello, "systemd", unit])))

  defp start(unit) do
    write(unit)

    case Lab.run("systemctl", ["start", unit]) do
      {_, 0} -> unit
      {output, _} -> flunk("#{unit} did not start: #{output}\n#{Lab.journal(unit)}")
    end
  end

  defp get(port, path), do: port |> Lab.get(path) |> List.last()

  test "the plain unit: serves as soon as systemctl start returns, drains, stops" do
    earlier = Lab.notifications("hello.service")
    unit = start("hello.service")
    assert get(4000, "/") == "hello\n"
    assert Lab.show(unit, "StatusText") == "ready"

    request = Task.async(fn -> get(4000, "/wait/2") end)
    Lab.await("the request", fn -> connections(4000) == 1 end)
    Lab.systemctl!(["stop", "--no-block", unit])
    Lab.await_property(unit, "StatusText", "draining, 1 request")
    assert Lab.show(unit, "ActiveState") == "deactivating"
    assert Task.await(request) == "hello, after 2 s\n"
    Lab.await_property(unit, "ActiveState", "inactive")

    notifications = Lab.notifications(unit) |> Enum.drop(length(earlier))

    assert Enum.reject(notifications, &match?(["EXTEND_TIMEOUT_USEC=" <> _], &1)) == [
             ["READY=1", "STATUS=ready"],
             ["STOPPING=1"],
             ["STATUS=draining", "1 request"],
             ["STATUS=drained"]
           ]

    assert Lab.show(unit, "Result") == "success"
  end

  defp connections(port) do
    {output, 0} = Lab.run("ss", ["-Htn", "state", "established", "( sport = :#{port} )"])
    length(String.split(output, "\n", trim: true))
  end

  test "the plain unit: a failing watchdog_check gets it restarted" do
    unit = start("hello.service")
    assert get(4000, "/sick") == "feeling sick\n"
    Lab.await_property(unit, "Result", "watchdog")
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")
    assert get(4000, "/") == "hello\n"
  end

  test "the plain unit: systemctl reload reads the configuration anew, and a broken one changes nothing" do
    greeting = "/etc/hello/greeting"
    File.mkdir_p!(Lab.path("/etc/hello"))
    on_exit(fn -> File.rm_rf!(Lab.path("/etc/hello")) end)
    unit = start("hello.service")
    pid = Lab.show(unit, "MainPID")
    assert get(4000, "/") == "hello\n"

    File.write!(Lab.path(greeting), "gruezi\n")
    Lab.systemctl!(["reload", unit])
    Lab.await_property(unit, "StatusText", "reloaded: changed hello: greeting")
    assert get(4000, "/") == "gruezi\n"
    Lab.await_property(unit, "ActiveState", "active")

    File.rm!(Lab.path(greeting))
    File.mkdir_p!(Lab.path(greeting))
    Lab.systemctl!(["reload", unit])
    failed = "reload failed: it raised error 'Elixir.File.Error', see the log"
    Lab.await_property(unit, "StatusText", failed)
    assert get(4000, "/") == "gruezi\n"

    Lab.await("the log", fn ->
      Lab.entries(unit, "cat", ["PRIORITY=3"]) =~
        "systemd: reload failed, and the service goes on: its function raised ** (File.Error) could not read file " <>
          "\"/etc/hello/greeting\": illegal operation on a directory"
    end)

    assert Lab.show(unit, "MainPID") == pid
  end

  test "Type=notify-reload: when systemctl reload returns, the new configuration is there" do
    if Lab.systemd_version() >= 253 do
      greeting = Lab.path("/etc/hello/greeting")
      File.mkdir_p!(Path.dirname(greeting))
      on_exit(fn -> File.rm_rf!(Path.dirname(greeting)) end)

      text =
        File.read!(Path.join([@hello, "systemd", "hello.service"]))
        |> String.replace("Type=notify\n", "Type=notify-reload\n")
        |> String.replace(~r/^ExecReload=.*\n/m, "")

      unit = Lab.write_unit("hello.service", text)
      Lab.systemctl!(["start", unit])

      for n <- 1..20 do
        File.write!(greeting, "hello #{n}\n")
        Lab.systemctl!(["reload", unit])
        assert get(4000, "/") == "hello #{n}\n"
      end
    else
      # Older ones take the type for a simple service's.
      unit =
        Lab.write_unit("too-new.service", "[Service]\nType=notify-reload\nExecStart=/bin/true\n")

      assert Lab.show(unit, "Type") != "notify-reload"
    end
  end

  test "the plain unit: journalctl finds a request by the metadata of its log line" do
    unit = start("hello.service")

    # Until journald has seen that the process is the unit's: it may take it for the manager's yet.
    id =
      Lab.await("journalctl -u", fn ->
        [headers, "hello\n"] = Lab.get(4000, "/")
        [_, id] = Regex.run(~r/x-request-id: (\S+)/, headers)
        Lab.run("journalctl", ["--sync"])

        case Lab.run("journalctl", ["-q", "-o", "cat", "-u", unit, "REQUEST_ID=#{id}"]) do
          {"GET /: 200 OK\n", 0} -> id
          {"", 0} -> nil
        end
      end)

    entry = Lab.entries(unit, "export", ["REQUEST_ID=#{id}"])

    for field <- [
          "MESSAGE=GET /: 200 OK",
          "PRIORITY=6",
          "SYSLOG_IDENTIFIER=hello",
          "APPLICATION=hello",
          "DOMAIN=elixir",
          "CODE_FILE=lib/hello/request.ex",
          "CODE_MFA=Hello.Request.serve/0"
        ],
        do: assert(entry =~ field)

    # The journal alone has it, and once.
    assert [_] = Regex.scan(~r/^MESSAGE=/m, entry)
    assert Lab.entries(unit, "cat", ["_TRANSPORT=stdout"]) == ""
  end

  test "the plain unit: the doctor, by rpc" do
    text = File.read!(Path.join([@hello, "systemd", "hello.service"]))
    # Not by an epmd that another unit may have started, and takes along.
    flags = "ERL_FLAGS=-start_epmd false -erl_epmd_port 9000"
    node = ["RELEASE_DISTRIBUTION=name", "RELEASE_NODE=hello@127.0.0.1"]

    unit =
      Lab.write_unit(
        "hello.service",
        String.replace(
          text,
          "Environment=RELEASE_DISTRIBUTION=none",
          ~s(Environment=#{Enum.join(node, " ")} "#{flags}")
        )
      )

    Lab.systemctl!(["start", unit])

    # The first check may come before what it looks at.
    output =
      Lab.await("nothing wrong with hello.service", fn ->
        env = [flags <> " -dist_listen false" | node]
        {output, 0} = Lab.run("env", env ++ ["/opt/hello/bin/hello", "rpc", "Systemd.doctor()"])
        output =~ ~r/^nothing is wrong$/m && output
      end)

    pid = Lab.show(unit, "MainPID")
    assert output =~ ~r/^unit +hello.service$/m
    assert output =~ ~r/^pid +#{pid}$/m
    assert output =~ ~r/^watchdog +enabled true, .*, timeout 2000$/m
    refute output =~ ~r/^(error|warning|notice): /m
  end

  test "the generated units: started on port 80 by the first request, as a dynamic user without a capability, watched" do
    [unit, socket] =
      for file <- ["hello.service", "hello.socket"],
          do: Lab.write_unit(file, File.read!(Path.join([@hello, "rel/systemd", file])))

    Lab.systemctl!(["start", socket])
    assert Lab.show(unit, "MainPID") == "0"
    assert get(80, "/") == "hello\n"

    pid = Lab.show(unit, "MainPID")
    {status, 0} = Lab.run("cat", ["/proc/#{pid}/status"])

    assert Regex.scan(~r/^Cap(\w+):\t(\d+)$/m, status, capture: :all_but_first) ==
             for(set <- ~w(Inh Prm Eff Bnd Amb), do: [set, "0000000000000000"])

    {uid, 0} = Lab.run("stat", ["-c", "%u", "/proc/#{pid}"])
    uid = String.trim(uid)
    assert String.to_integer(uid) in 61_184..65_519

    # Longer than WatchdogSec=.
    Process.sleep(12_000)

    assert %{"ActiveState" => "active", "NRestarts" => "0", "MainPID" => ^pid} =
             Lab.show_all(unit, ["ActiveState", "NRestarts", "MainPID"])

    assert get(80, "/sick") == "feeling sick\n"
    Lab.await_property(unit, "Result", "watchdog", 20_000)
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")
    Lab.systemctl!(["stop", unit])
    assert Lab.show(unit, "Result") == "success"

    # The sandbox is not felt, and the VM says only what is asked of it.
    {said, 0} =
      Lab.run("journalctl", ["-q", "-o", "cat", "SYSLOG_IDENTIFIER=hello", "_UID=#{uid}"])

    # All of the unit's processes get the watchdog's SIGABRT: the VM may see the end of erl_child_setup
    # before its own.
    lines = String.split(said, "\n", trim: true) |> List.delete("erl_child_setup closed")

    # The drain's own line comes from another process, and may be before that of SIGTERM.
    assert Enum.reject(lines, &(&1 =~ ~r/^systemd: drained in \d+ ms$/)) == [
             "GET /: 200 OK",
             "GET /sick: 200 OK",
             "systemd: watchdog_check: Hello.Health.well?/0 returned false. No ping until it passes; systemd ends the service after WatchdogSec=",
             "SIGTERM received - shutting down"
           ]
  end
end
