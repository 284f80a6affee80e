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
end
