defmodule StartTest do
  use ExUnit.Case, async: true

  test "systemctl start returns after ready() and not before" do
    unit = Lab.write_service("slow", [{:sleep, 2000}, :ready])
    {millis, _} = Lab.timed(fn -> Lab.systemctl!(["start", unit]) end)
    assert millis >= 2000
    assert Lab.show(unit, "ActiveState") == "active"
    assert ["READY=1", "STATUS=ready"] in Lab.notifications(unit)
  end

  test "a service that never says ready is failed by the manager, and warned before" do
    options = [service: ["TimeoutStartSec=3"], env: [warn_about_readiness_message: 1000]]
    unit = Lab.write_service("never-ready", [], options)
    assert {_, status} = Lab.run("systemctl", ["start", unit])
    assert status != 0
    assert Lab.show(unit, "Result") == "timeout"
    assert Lab.journal(unit) =~ "no READY=1 was sent within 1000 ms"
  end

  test "children before ready() are up when READY=1 arrives, those after it are not started" do
    children = [{:named, :before}, :ready, {:sleep, 3000}, {:named, :after}]
    unit = Lab.start_service("order", children)
    assert Lab.eval(unit, "whereis(before) =/= undefined")
    assert Lab.eval(unit, "whereis('after')") == :undefined

    Lab.await("the child after ready()", fn ->
      Lab.eval(unit, "whereis('after') =/= undefined")
    end)
  end

  test "after a while systemd has forgotten the restarts, which RestartSteps= counts, from 258 on" do
    service = ["Restart=always", "RestartSec=100ms", "StartLimitBurst=9"]
    unit = Lab.start_service("forgiven", [:ready], service: service)

    for n <- ["1", "2"] do
      Lab.systemctl!(["kill", "--signal=KILL", unit])
      Lab.await_property(unit, "NRestarts", n)
      Lab.await_property(unit, "ActiveState", "active")
    end

    # As after ten minutes.
    {:ok, _} = Lab.eval(unit, "systemd_readiness:start_link(forget_restarts, 1)")
    Lab.await("RESTART_RESET=1", fn -> ["RESTART_RESET=1"] in Lab.notifications(unit) end)
    restarts = if Lab.systemd_version() >= 258, do: "0", else: "2"
    Lab.await_property(unit, "NRestarts", restarts)
    assert Lab.show(unit, "ActiveState") == "active"
  end
end
