defmodule GeneratedUnitTest do
  @moduledoc "examples/hello under the units of `mix systemd.gen.unit`."
  use ExUnit.Case, async: true
  import GeneratedUnit

  test "as it comes: hardened to 1.5 or less, serves, is watched, drains" do
    [unit] = units = install("gen-hardened", [], ["Environment=PORT=4101"])
    verified(unit)
    start(units)
    exposure = exposure(unit)
    IO.puts("exposure of a generated unit: #{exposure}")
    assert exposure <= 1.5
    lives(unit, 4101)
  end

  test "--systemd VERSION: what this version has, and the delay between restarts grows from 258 on" do
    version = Lab.systemd_version()
    [unit] = units = install("gen-version", [systemd: version], ["Environment=PORT=4111"])
    verified(unit)
    start(units)
    assert exposure(unit) <= 1.5
    if version >= 258, do: slows_down(unit)
    lives(unit, 4111)

    # This one knows what older versions have, and not all that newer ones have.
    for of <- [252, 257, 258], {file, text} <- files("gen-version", systemd: of) do
      path = "/run/#{of}-#{file}"
      File.write!(Lab.path(path), text)
      {output, _} = Lab.run("systemd-analyze", ["verify", path])
      assert {of, output =~ ~r/ignoring/} == {of, of > version}
    end
  end

  # The settings of 2 s and 1 min in five steps: 2, 3.9, 7.8 s, and so on, rounded.
  defp slows_down(unit) do
    for delay <- [2_000, 3_900] do
      Lab.systemctl!(["kill", "--signal=KILL", unit])
      Lab.await_property(unit, "SubState", "auto-restart")
      {millis, _} = Lab.timed(fn -> Lab.await_property(unit, "ActiveState", "active", 30_000) end)
      assert millis >= delay - 300
    end

    # Forgets the restarts as systemctl restart does.
    Lab.systemctl!(["restart", unit])
    assert Lab.show(unit, "NRestarts") == "0"
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
      assert {"" <> complaint, _} =
               Lab.run("systemd-analyze", ["verify", "/etc/lab/units/#{unit}"])

      assert complaint =~ "notify-reload"
    end
  end
end
