defmodule WatchdogTest do
  use ExUnit.Case, async: true

  @service ["WatchdogSec=1", "Restart=on-failure", "RestartSec=500ms"]

  defp start(name, options \\ []) do
    Lab.start_service("watchdog-" <> name, [:ready], [service: @service] ++ options)
  end

  defp check(unit, function),
    do: Lab.eval(unit, "application:set_env(systemd, watchdog_check, #{function})")

  defp assert_alive(unit, millis) do
    Process.sleep(millis)

    assert %{"ActiveState" => "active", "NRestarts" => "0"} =
             Lab.show_all(unit, ["ActiveState", "NRestarts"])
  end

  # Result is that of the last run until the next one starts.
  defp assert_restarted(unit) do
    Lab.await_property(unit, "Result", "watchdog")
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")
  end

  test "alive for 5 x WatchdogSec" do
    assert_alive(start("alive"), 5000)
  end

  for {name, function, said} <- [
        {"returns false", "fun() -> false end", ~r/watchdog_check: .* returned false\. /},
        {"raises", "fun() -> error(oops) end", ~r/watchdog_check: .* raised error oops at /},
        {"exits", "fun() -> exit(oops) end", ~r/watchdog_check: .* raised exit oops at /},
        {"is killed", "fun() -> exit(self(), kill) end",
         ~r/watchdog_check: the check was ended by an exit signal: killed/},
        {"never returns", "fun() -> receive never -> ok end end",
         ~r/STATUS=watchdog: VM unresponsive[^;]*;[^;]*; run queues[^;]*$/m},
        {"can't be called", "{no, list}", ~r/systemd: watchdog_check: can't be called/},
        {"returns something else", "fun() -> perhaps end",
         ~r/watchdog_check: .* returned perhaps/}
      ] do
    test "restarted when the check #{name}, and the log says so once" do
      unit = start(String.replace(unquote(name), ["'", " "], "-"))
      :ok = check(unit, unquote(function))
      assert_restarted(unit)
      assert [_] = Regex.scan(unquote(Macro.escape(said)), Lab.journal(unit))
    end
  end

  test "a check that fails now and then, but not for WatchdogSec, is forgiven" do
    unit = start("forgiven")

    :ok =
      check(
        unit,
        "fun() -> erlang:system_time(millisecond) rem 1000 < 500 end"
      )

    assert_alive(unit, 3000)
    assert Lab.journal(unit) =~ ~r/watchdog_check: .* returned false/
  end

  test "{M, F, A} from the configuration is called" do
    unit = start("mfa", env: [watchdog_check: {:persistent_term, :get, [:well, true]}])
    assert_alive(unit, 2500)
    :ok = Lab.eval(unit, "persistent_term:put(well, false)")
    assert_restarted(unit)
  end

  test "trigger fails it at once" do
    unit = start("trigger")

    {millis, _} =
      Lab.timed(fn ->
        Lab.cast(unit, "systemd:watchdog(trigger)")
        Lab.await_property(unit, "Result", "watchdog")
      end)

    assert millis < 700
    assert_restarted(unit)
  end

  test "disable and manual ping keep it alive" do
    unit = start("manual")
    assert Lab.eval(unit, "systemd:watchdog(state)") == 1000
    Lab.eval(unit, "systemd:watchdog(disable),
      spawn(fun Ping() -> ok = systemd:watchdog(ping), timer:sleep(300), Ping() end)")
    assert Lab.eval(unit, "systemd:watchdog(state)") == false
    assert_alive(unit, 5000)
    assert Lab.eval(unit, "systemd:watchdog(enable), systemd:watchdog(state)") == 1000
  end

  test "disable alone does not" do
    unit = start("disabled")
    :ok = Lab.eval(unit, "systemd:watchdog(disable)")
    assert_restarted(unit)
  end

  test "the VM stopped by SIGSTOP: restarted" do
    unit = start("stopped")
    Lab.systemctl!(["kill", "--kill-whom=main", "--signal=STOP", unit])
    assert_restarted(unit)
  end

  test "the answering process killed, again and again: not restarted" do
    unit = start("killed")

    for _ <- 1..20 do
      Lab.eval(unit, "exit(whereis(systemd_watchdog), kill)")
      Lab.await("a new one", fn -> Lab.eval(unit, "is_pid(whereis(systemd_watchdog))") end)
    end

    assert_alive(unit, 2500)
    assert Lab.eval(unit, "systemd:watchdog(state)") == 1000
  end
end
