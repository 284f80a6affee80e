defmodule RestartTest do
  @moduledoc "The VM restarts in place."
  use ExUnit.Case, async: true

  @children [{:sleep, 100}, :ready]

  defp main(unit), do: Lab.show(unit, "MainPID")

  defp hup(unit), do: Lab.systemctl!(["kill", "--kill-whom=main", "--signal=HUP", unit])

  # What systemd has for a reload by signal from version 253 on.
  defp notify_reload?, do: Lab.systemd_version() >= 253

  test "SIGHUP restarts the VM in place" do
    unit = Lab.start_service("sighup", @children)
    pid = main(unit)
    Lab.restarted(unit, fn -> hup(unit) end)
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
    unless by_manager,
      do:
        Lab.await("RELOADING=1", fn ->
          ["RELOADING=1"] in Enum.map(Lab.notifications(unit), &Enum.take(&1, 1))
        end)

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
      {millis, _} = Lab.timed(fn -> Lab.restarted(unit, fn -> hup(unit) end) end)
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
end
