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

  test "application:stop(systemd) says STOPPING=1, and so does nobody after it" do
    unit = Lab.start_service("stop-application", [{:drain, 500}, :ready])
    Lab.cast(unit, "application:stop(live), application:stop(systemd), init:stop()")
    Lab.await_property(unit, "ActiveState", "inactive")
    assert Enum.count(Lab.notifications(unit), &(&1 == ["STOPPING=1"])) == 1
  end
end
