defmodule GeneratedDistributionTest do
  @moduledoc "examples/hello under the units of `mix systemd.gen.unit --distribution PORT`."
  use ExUnit.Case, async: true
  import GeneratedUnit

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

  # As root, with what the unit says.
  defp rpc(expression, name \\ "gen-nodes") do
    unit = File.read!(Lab.path("/etc/lab/units/#{name}.service"))
    [_, command] = Regex.run(~r/^#   (.*) \.\.\.$/m, unit)
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
