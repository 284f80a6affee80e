defmodule GeneratedUnitTest do
  @moduledoc "examples/hello under the units of `mix systemd.gen.unit`."
  use ExUnit.Case, async: true

  @project Path.expand("../..", __DIR__)
  @units "/etc/lab/units"

  setup_all do
    Code.prepend_path("#{@project}/_build/default/lib/systemd/ebin")
    :ok
  end

  # The release under another name, and its units, with `drop_in` beside them: a port, as an operator would give it.
  defp install(name, switches, drop_in \\ []) do
    Lab.copy(Lab.hello(), "/opt/#{name}")
    File.rename!(Lab.path("/opt/#{name}/bin/hello"), Lab.path("/opt/#{name}/bin/#{name}"))
    directory = Lab.path("#{@units}/#{name}.service.d")
    File.mkdir_p!(directory)
    # The greeting in the lab is that of other tests.
    lines = ["[Service]", "Environment=GREETING_FILE=/none" | drop_in]
    File.write!("#{directory}/port.conf", Enum.map(lines, &[&1, "\n"]))

    name
    |> :systemd_unit_file.options(:mix, switches)
    |> :systemd_unit_file.files()
    |> Enum.map(fn {file, text} -> Lab.write_unit("#{file}", text) end)
  end

  defp start(units) do
    case Lab.run("systemctl", ["start" | Enum.reverse(units)]) do
      {_, 0} -> hd(units)
      {output, _} -> flunk("#{output}\n#{Lab.journal(hd(units))}")
    end
  end

  defp get(port, path), do: port |> Lab.get(path) |> List.last()

  defp verified(unit),
    do: assert({"", 0} = Lab.run("systemd-analyze", ["verify", "#{@units}/#{unit}"]))

  defp exposure(unit) do
    {report, _} = Lab.run("systemd-analyze", ["security", "--no-pager", unit])
    [_, exposure] = Regex.run(~r/Overall exposure level for .*: ([0-9.]+)/, report)
    String.to_float(exposure)
  end

  # Watched, drained, stopped.
  defp lives(unit, port) do
    assert get(port, "/") == "hello\n"
    assert get(port, "/sick") == "feeling sick\n"
    Lab.await_property(unit, "Result", "watchdog", 20_000)
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")

    request = Task.async(fn -> get(port, "/wait/2") end)
    Lab.await("the request", fn -> connected?(port) end)
    Lab.systemctl!(["stop", "--no-block", unit])
    Lab.await_property(unit, "StatusText", "draining")
    assert Task.await(request) == "hello, after 2 s\n"
    Lab.await_property(unit, "ActiveState", "inactive")
    assert Lab.show(unit, "Result") == "success"
  end

  defp connected?(port) do
    {output, 0} = Lab.run("ss", ["-Htn", "state", "established", "( sport = :#{port} )"])
    output != ""
  end

  test "as it comes: hardened to 1.5 or less, serves, is watched, drains" do
    [unit] = units = install("gen-hardened", [], ["Environment=PORT=4101"])
    verified(unit)
    start(units)
    exposure = exposure(unit)
    IO.puts("exposure of a generated unit: #{exposure}")
    assert exposure <= 1.5
    lives(unit, 4101)
  end

  test "--no-hardening" do
    [unit] = units = install("gen-plain", [hardening: false], ["Environment=PORT=4102"])
    verified(unit)
    start(units)
    lives(unit, 4102)
  end

  test "--socket 443: the first connection starts it, as nobody with a right to the port" do
    [unit, socket] = install("gen-socket", socket: 443)
    verified(unit)
    verified(socket)
    start([socket])
    assert Lab.show(unit, "ActiveState") == "inactive"
    assert get(443, "/") == "hello\n"
    {status, 0} = Lab.run("cat", ["/proc/#{Lab.show(unit, "MainPID")}/status"])
    assert status =~ ~r/^CapEff:\t0+$/m
    lives(unit, 443)
  end

  test "--low-port: binds it itself" do
    [unit] = units = install("gen-low", [low_port: true], ["Environment=PORT=81"])
    verified(unit)
    start(units)
    assert exposure(unit) <= 2.0
    lives(unit, 81)
  end

  test "--notify-reload: systemctl reload returns when it is done; older versions don't take it" do
    [unit] = units = install("gen-reload", [notify_reload: true], ["Environment=PORT=4103"])

    if Lab.systemd_version() >= 253 do
      verified(unit)
      start(units)
      Lab.systemctl!(["reload", unit])
      assert Lab.show(unit, "StatusText") =~ "reloaded"
      lives(unit, 4103)
    else
      assert {"" <> complaint, _} = Lab.run("systemd-analyze", ["verify", "#{@units}/#{unit}"])
      assert complaint =~ "notify-reload"
    end
  end

  test "--distribution --credential: rpc; its data, a secret, TLS to others, a program of its own" do
    switches = [distribution: 9104, credential: "secret_key_base"]
    [unit] = units = install("gen-nodes", switches, ["Environment=PORT=4104"])
    verified(unit)

    File.write!(Lab.path("/run/secret_key_base"), "the secret")
    prepare("gen-nodes", switches)
    start(units)
    assert exposure(unit) <= 2.0

    assert rpc("Node.self()") == ":\"gen-nodes@127.0.0.1\""

    assert rpc(~S|Systemd.read_credential("secret_key_base")|) == ~S|{:ok, "the secret"}|

    assert rpc(~S|{System.get_env("HOME"), File.write("data", "kept"), System.get_env("LANG")}|) ==
             ~S|{"/var/lib/gen-nodes", :ok, "C.UTF-8"}|

    assert File.read!(Lab.path("/var/lib/gen-nodes/data")) == "kept"

    assert rpc(~S|{:ok, i} = :file.read_file_info("data"); :file.write_file_info("data", i)|) ==
             ":ok"

    assert rpc(~S|File.write("/etc/mine", "")|) == "{:error, :erofs}"

    assert rpc(~S|System.cmd("/bin/sh", ["-c", "echo $((6 * 7))"])|) == ~S|{"42\n", 0}|

    assert rpc("match?({:ok, [_ | _]}, :inet.getifaddrs())") == "true"

    assert rpc(~S|match?({:ok, "MemTotal:" <> _}, File.read("/proc/meminfo"))|) == "true"

    certificate = tls_server(4443)

    connect =
      ~s|:ssl.connect('localhost', 4443, cacertfile: "#{certificate}", verify: :verify_peer, mode: :binary, active: false)|

    assert rpc("{:ok, s} = #{connect}; :ssl.recv(s, 0, 5000)") == ~S|{:ok, "over TLS"}|

    lives(unit, 4104)
    # Systemd keeps it.
    start(units)
    assert rpc(~S|File.read("data")|) == ~S|{:ok, "kept"}|
  end

  test "--distribution: one service's end is nothing to another's" do
    [first, second] =
      for {name, port} <- [{"gen-first", 4105}, {"gen-second", 4106}],
          do: start_distributed(name, port, [])

    {status, 0} = Lab.run("systemctl", ["status", second])
    refute status =~ "bin/epmd"
    {listening, 0} = Lab.run("ss", ["-Hltn", "( sport = :9106 )"])
    assert [_, _, _, "127.0.0.1:9106", _] = String.split(listening)

    Lab.systemctl!(["stop", first])
    assert rpc("Node.self()", "gen-second") == ":\"gen-second@127.0.0.1\""
    Lab.systemctl!(["stop", second])
  end

  test "docs/lifecycle.md: systemctl reload by rpc returns when it is done; memory pressure by a FIFO" do
    lines = guide_lines("gen-fifo", "rpc") ++ guide_lines("gen-fifo", "mkfifo")
    unit = start_distributed("gen-fifo", 4107, lines)
    Lab.systemctl!(["reload", unit])
    assert Lab.show(unit, "StatusText") =~ "reloaded"
    {"", 0} = Lab.run("timeout", ["10", "sh", "-c", "echo >/run/gen-fifo/pressure"])
    Lab.await("the call", fn -> Lab.journal(unit) =~ "memory pressure: collected" end)
    Lab.systemctl!(["stop", unit])
  end

  test "docs/lifecycle.md: memory pressure in a generated unit, before systemd 254" do
    lines = guide_lines("gen-pressure", "memory.pressure")
    unit = start_distributed("gen-pressure", 4108, lines)
    {descriptors, 0} = Lab.run("ls", ["-l", "/proc/#{Lab.show(unit, "MainPID")}/fd"])
    assert descriptors =~ "#{unit}/memory.pressure"
    refute Lab.journal(unit) =~ "not watched"
    Lab.systemctl!(["stop", unit])
  end

  # Of the one block in the guide that has `part` in it.
  defp guide_lines(name, part) do
    blocks = Guide.blocks("docs/lifecycle.md")
    [text] = for %{language: "ini", text: text} <- blocks, text =~ part, do: text

    text
    |> String.replace("my_app", name)
    |> String.replace("[Service]\n", "")
    |> String.split("\n", trim: true)
  end

  defp start_distributed(name, port, lines) do
    switches = [distribution: 5000 + port]
    units = install(name, switches, ["Environment=PORT=#{port}" | lines])
    prepare(name, switches)
    start(units)
  end

  # What the printed commands do before they install the release.
  defp prepare(name, switches) do
    on_exit(fn -> File.rm_rf!(Lab.path("/etc/#{name}")) end)
    commands = name |> :systemd_unit_file.options(:mix, switches) |> :systemd_unit_file.commands()

    for command <- Enum.map(commands, &to_string/1),
        command =~ "install -D",
        do: assert({"", 0} = Lab.run("sh", ["-c", "cd /run && " <> command]))
  end

  # As root, with what the unit says.
  defp rpc(expression, name \\ "gen-nodes") do
    unit = File.read!(Lab.path("#{@units}/#{name}.service"))
    [_, command] = Regex.run(~r/ As root: (.*) \.\.\.$/m, unit)
    inspected = "IO.puts(inspect((#{expression})))"
    {output, 0} = Lab.run("sh", ["-c", command <> ~s( "$1"), "rpc", inspected])
    String.trim(output)
  end

  # The certificate of who signed that of the server.
  defp tls_server(port) do
    certificate = "/run/tls.pem"

    args = [
      "-noinput",
      "-pa",
      "/srv/live/ebin",
      "-run",
      "live_tls",
      "main",
      "#{port}",
      certificate
    ]

    Task.start_link(fn -> Lab.run("env", ["HOME=/root", "erl" | args]) end)
    Lab.await("the TLS server", fn -> File.exists?(Lab.path(certificate)) end)
    certificate
  end
end
