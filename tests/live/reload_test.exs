defmodule ReloadTest do
  @moduledoc "A reload by a function of the service's."
  use ExUnit.Case, async: true

  defp main(unit), do: Lab.show(unit, "MainPID")

  defp hup(unit), do: Lab.systemctl!(["kill", "--kill-whom=main", "--signal=HUP", unit])

  # Calls reload/0 from the outside, which a release does with `rpc`.
  defp exec_reload(name) do
    "ExecReload=/usr/bin/erl -noinput -pa /srv/live/ebin -eval " <>
      "'live_service:ask(\"/run/live/#{name}.control\", \"ok = systemd:reload()\")'"
  end

  # What systemd has for a reload by signal from version 253 on.
  defp notify_reload?, do: Lab.systemd_version() >= 253

  defp start(name, millis, options \\ []) do
    trace = "/run/live/#{name}.trace"

    {type, reload} =
      if notify_reload?(), do: {"notify-reload", []}, else: {"notify", [exec_reload(name)]}

    Lab.start_service(name, Keyword.get(options, :children, [:ready]),
      env: [reload: {:live_service, :reload, [String.to_charlist(trace), millis]}],
      service: ["Type=#{type}" | reload] ++ Keyword.get(options, :service, [])
    )
  end

  defp trace(unit) do
    case File.read(Lab.path("/run/live/#{Path.rootname(unit)}.trace")) do
      {:ok, text} -> String.split(text)
      {:error, :enoent} -> []
    end
  end

  defp await_trace(unit, trace),
    do: Lab.await("#{inspect(trace)}", fn -> trace(unit) == trace end)

  test "systemctl reload shows reloading, and returns after the function did and not before" do
    unit = start("function", 1500)
    reload = Task.async(fn -> Lab.timed(fn -> Lab.systemctl!(["reload", unit]) end) end)
    Lab.await_property(unit, "ActiveState", "reloading")
    await_trace(unit, ["begin"])
    {millis, _} = Task.await(reload)
    assert trace(unit) == ["begin", "end"]
    assert millis >= 1500

    assert Lab.show_all(unit, ["ActiveState", "StatusText"]) ==
             %{"ActiveState" => "active", "StatusText" => "reloaded"}

    assert [
             ["READY=1" | _],
             ["RELOADING=1", "MONOTONIC_USEC=" <> _],
             ["READY=1", "STATUS=reloaded"]
           ] = Lab.notifications(unit)

    IO.puts("systemctl reload, #{Lab.show(unit, "Type")}: returned after #{millis} ms")
  end

  test "one that raises leaves the service running, and says so" do
    unit = start("raises", 0)

    :ok = Lab.eval(unit, "application:set_env(systemd, reload, fun() -> error(no_such_file) end)")

    pid = main(unit)
    # By notify-reload it is the manager's own affair that it ends; ExecReload= would fail.
    hup(unit)
    text = "reload failed: it raised error no_such_file, see the log"
    Lab.await_property(unit, "StatusText", text)
    assert {Lab.show(unit, "ActiveState"), main(unit)} == {"active", pid}

    Lab.await("the log", fn ->
      Lab.entries(unit, "cat") =~
        "systemd: reload failed, and the service goes on: its function raised error no_such_file at"
    end)
  end

  test "one that takes longer than WatchdogSec= is not killed" do
    unit = start("long", 3000, service: ["WatchdogSec=1", "Restart=on-failure"])
    Lab.systemctl!(["reload", unit])
    assert {trace(unit), Lab.show(unit, "NRestarts")} == {["begin", "end"], "0"}
  end

  test "a second SIGHUP during it: once more afterwards, and not at the same time" do
    unit = start("twice", 1000)
    hup(unit)
    await_trace(unit, ["begin"])
    for _ <- 1..5, do: hup(unit)
    await_trace(unit, ["begin", "end", "begin", "end"])
    Lab.await_property(unit, "ActiveState", "active")
    Process.sleep(500)
    assert trace(unit) == ["begin", "end", "begin", "end"]
  end

  test "20 of them, with a connection held open" do
    path = "/run/live/held"
    unit = start("held", 1, children: [{:connections, String.to_charlist(path)}, :ready])
    socket = Lab.connect(path)
    {:ok, "open\n"} = :gen_tcp.recv(socket, 0, 5000)
    pid = main(unit)
    for _ <- 1..20, do: Lab.systemctl!(["reload", unit])
    assert trace(unit) == for(_ <- 1..20, word <- ["begin", "end"], do: word)
    assert main(unit) == pid
    # Still open: nothing comes, and it can be written to.
    assert :gen_tcp.recv(socket, 0, 100) == {:error, :timeout}
    :gen_tcp.close(socket)
  end
end
