defmodule ReloadTest do
  use ExUnit.Case, async: true

  @children [{:sleep, 100}, :ready]
  @service ["WatchdogSec=2", "Restart=on-failure", "RestartSec=500ms"]

  defp main(unit), do: Lab.show(unit, "MainPID")

  defp kilobytes(unit) do
    {status, 0} = Lab.run("cat", ["/proc/#{main(unit)}/status"])
    [_, kilobytes] = Regex.run(~r/^VmRSS:\s+(\d+) kB$/m, status)
    String.to_integer(kilobytes)
  end

  defp reloaded(unit, by) do
    by.()
    Lab.await_property(unit, "ActiveState", "reloading")
    Lab.await_property(unit, "ActiveState", "active")
  end

  defp hup(unit), do: Lab.systemctl!(["kill", "--kill-whom=main", "--signal=HUP", unit])

  # Calls reload/0 from the outside, which a release does with `rpc`.
  defp exec_reload(name) do
    "ExecReload=/usr/bin/erl -noinput -pa /srv/live/ebin -eval " <>
      "'live_service:ask(\"/run/live/#{name}.control\", \"ok = systemd:reload()\")'"
  end

  # What systemd has for a reload by signal from version 253 on.
  defp notify_reload?, do: Lab.systemd_version() >= 253

  test "50 restarts of the VM, by init:restart and by reload/0: nothing leaked, watched throughout" do
    unit = Lab.start_service("reload", @children, service: @service)
    by = fn expression -> reloaded(unit, fn -> Lab.cast(unit, expression) end) end
    # The first ones fill what the VM and the C library keep.
    for _ <- 1..5, do: by.("init:restart()")
    before = {main(unit), Lab.count(unit, "fd"), Lab.count(unit, "task")}
    kilobytes = kilobytes(unit)

    for n <- 1..45, do: by.(Enum.at(["init:restart()", "systemd:reload()"], rem(n, 2)))

    assert Lab.eval(unit, "systemd:watchdog(state)") == 2000
    assert {main(unit), Lab.count(unit, "fd"), Lab.count(unit, "task")} == before
    refute ["STOPPING=1"] in Lab.notifications(unit)
    Lab.await_property(unit, "WatchdogUSec", "2s")

    grown = (kilobytes(unit) - kilobytes) / 45
    alone = grown_alone()

    IO.puts(
      "50 restarts of the VM: pid, descriptors, threads #{inspect(before)} before and after; " <>
        "each took #{round(grown)} kB of resident memory, and #{round(alone)} kB of a VM that only loads the modules"
    )

    # In kB: a library that stays mapped would be 700. What the allocators keep differs by 150.
    assert grown < alone + 300

    # The watchdog works afterwards, in both ways.
    Process.sleep(3000)
    assert {Lab.show(unit, "NRestarts"), Lab.show(unit, "ActiveState")} == {"0", "active"}
    :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, fun() -> false end)")
    Lab.await_property(unit, "Result", "watchdog")
    Lab.await_property(unit, "NRestarts", "1")
  end

  # OTP keeps more than a megabyte of each restart.
  defp grown_alone do
    args = [
      "-noinput",
      "-pa",
      "/srv/systemd/ebin",
      "/srv/live/ebin",
      "-s",
      "live_restarts",
      "run"
    ]

    {output, 0} = Lab.run("erl", args ++ ["20", "5"])
    String.to_integer(output) / 15
  end

  test "SIGHUP restarts the VM in place" do
    unit = Lab.start_service("sighup", @children)
    pid = main(unit)
    reloaded(unit, fn -> hup(unit) end)
    assert main(unit) == pid
  end

  test "systemctl reload restarts the VM in place" do
    {type, by_manager} =
      if notify_reload?(),
        do: {["Type=notify-reload"], true},
        else: {["ExecReload=/bin/kill -HUP $MAINPID"], false}

    unit = Lab.start_service("reload-restarts", [{:sleep, 500}, :ready], service: type)
    pid = main(unit)
    :ok = Lab.eval(unit, "persistent_term:put(life, first)")
    Lab.systemctl!(["reload", unit])
    # Older managers take the end of ExecReload= for the end of the reload.
    unless by_manager, do: Lab.await_property(unit, "ActiveState", "reloading")
    Lab.await_property(unit, "ActiveState", "active")
    assert Lab.eval(unit, "persistent_term:get(life, second)") == :second
    assert main(unit) == pid
  end

  test "SIGHUP is left alone with handle_event false" do
    unit = Lab.start_service("no-sighup", @children, env: [handle_event: false])
    assert Lab.eval(unit, "gen_event:which_handlers(erl_signal_server)") == [:erl_signal_handler]
  end

  describe "a restart of the VM, with WatchdogSec=1" do
    @service ["WatchdogSec=1", "Restart=on-failure", "RestartSec=500ms"]

    # Its check fails for as long as the service is not up.
    test "that takes 6 s, below restart_timeout, is not killed; the timeout is 1 s again" do
      check = {:live_service, :registered?, [:up]}

      unit =
        Lab.start_service("bridged", [{:sleep, 2000}, {:named, :up}, :ready],
          service: @service,
          env: [watchdog_check: check]
        )

      slow(unit, 4000)
      {millis, _} = Lab.timed(fn -> reloaded(unit, fn -> hup(unit) end) end)
      assert millis > 6000
      Lab.await_property(unit, "WatchdogUSec", "1s")
      Process.sleep(2500)
      assert {Lab.show(unit, "NRestarts"), Lab.show(unit, "ActiveState")} == {"0", "active"}
      :ok = Lab.eval(unit, "application:set_env(systemd, watchdog_check, fun() -> false end)")
      {millis, _} = Lab.timed(fn -> Lab.await_property(unit, "Result", "watchdog") end)
      assert millis < 2500
    end

    test "that hangs beyond restart_timeout is killed" do
      unit =
        Lab.start_service("hangs", [{:sleep, 100}, :ready],
          service: @service,
          env: [restart_timeout: 3000]
        )

      slow(unit, 60_000)

      {millis, _} =
        Lab.timed(fn ->
          hup(unit)
          Lab.await_property(unit, "Result", "watchdog")
        end)

      IO.puts("a restart that hangs: killed after #{millis} ms, with restart_timeout 3000")
      assert millis in 2900..4500
      File.rm!(slow(unit))
      Lab.await_property(unit, "NRestarts", "1")
    end

    # The next VM of this unit does nothing for so long, before its application is there.
    defp slow(unit, millis), do: File.write!(slow(unit), "#{millis}")

    defp slow(unit), do: Lab.path("/etc/lab/#{Path.rootname(unit)}.config.slow")
  end

  describe "a reload by a function" do
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

    test "that raises leaves the service running, and says so" do
      unit = start("raises", 0)

      :ok =
        Lab.eval(unit, "application:set_env(systemd, reload, fun() -> error(no_such_file) end)")

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

    test "that takes longer than WatchdogSec= is not killed" do
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
end
