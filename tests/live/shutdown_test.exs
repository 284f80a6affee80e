defmodule ShutdownTest do
  use ExUnit.Case

  for {name, stop} <- [
        {"init:stop()", quote(do: &Lab.eval(&1, "init:stop()"))},
        {"SIGTERM", quote(do: &Lab.systemctl!(["kill", "--kill-whom=main", "--signal=TERM", &1]))}
      ] do
    test "deactivating upon #{name}, while a drain of 4 s goes on; one STOPPING=1" do
      unit =
        Lab.start_service("stop-#{System.unique_integer([:positive])}", [{:drain, 4000}, :ready])

      {millis, _} =
        Lab.timed(fn ->
          unquote(stop).(unit)
          Lab.await_property(unit, "ActiveState", "deactivating")
        end)

      # How soon: make bench.
      assert millis < 2000
      {drained, _} = Lab.timed(fn -> Lab.await_property(unit, "ActiveState", "inactive") end)
      assert millis + drained > 3900
      assert Lab.show(unit, "Result") == "success"
      assert Enum.count(Lab.notifications(unit), &(&1 == ["STOPPING=1"])) == 1
      IO.puts("deactivating #{millis} ms after #{unquote(name)}")
    end
  end

  test "a service lives on when the application systemd alone stops and starts" do
    unit = Lab.start_service("stop-application", [{:drain, 500}, :ready])

    :ok =
      Lab.eval(
        unit,
        "ok = application:stop(systemd), application:start(systemd)"
      )

    Lab.systemctl!(["stop", unit])
    assert Lab.show(unit, "Result") == "success"
    assert [["READY=1" | _], ["STOPPING=1"] | _] = Lab.notifications(unit)
  end
end
