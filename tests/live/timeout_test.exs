defmodule TimeoutTest do
  @moduledoc "Start-ups and drains that take longer than the unit allows."
  use ExUnit.Case, async: true

  @start ["TimeoutStartSec=5", "Restart=no"]
  @stop ["TimeoutStopSec=3", "Restart=no"]

  # All at once, because they wait: what each of them took in milliseconds, with the unit.
  defp all(cases) do
    tasks =
      for {name, children, service, command} <- cases do
        unit = Lab.write_service(name, children, service: service)
        if command == "stop", do: Lab.systemctl!(["start", unit])
        {unit, command}
      end
      |> Enum.map(fn {unit, command} ->
        task =
          Task.async(fn ->
            {millis, {_, status}} = Lab.timed(fn -> Lab.run("systemctl", [command, unit]) end)
            {millis, status, Lab.show(unit, "Result"), unit}
          end)

        # The next one when this VM is up, so that none takes long for that.
        if command == "start", do: Lab.await("#{unit} up", fn -> Lab.up?(unit) end)
        task
      end)

    Task.await_many(tasks, 100_000)
  end

  test "more time to start: 30 s are enough for 30 s, a hang ends at the limit, by TimeoutStartSec=5 alone all ends" do
    [slow, hangs, alone] =
      all([
        {"slow-start", [{:sleep_extended, 30_000, status: "migrating"}, :ready], @start, "start"},
        {"hanging-start", [{:sleep_extended, 90_000, limit: 10_000}, :ready], @start, "start"},
        {"unextended-start", [{:sleep, 30_000}, :ready], @start, "start"}
      ])

    assert {millis, 0, "success", unit} = slow
    assert millis >= 30_000
    assert Lab.show(unit, "ActiveState") == "active"
    assert [["STATUS=migrating"] | _] = Enum.reject(Lab.notifications(unit), &extension?/1)
    assert Enum.count(Lab.notifications(unit), &extension?/1) in 25..35

    assert {hung, 1, "timeout", unit} = hangs
    assert hung in 9_500..14_000
    assert Lab.journal(unit) =~ said("TimeoutStartSec=")

    assert {cut_off, 1, "timeout", _} = alone
    assert cut_off in 4_500..9_000

    IO.puts(
      "TimeoutStartSec=5: up after #{millis} ms; a hang with a limit of 10 s ended after #{hung} ms"
    )
  end

  test "more time to stop, for a function and for the children in front of one: the same by TimeoutStopSec=3" do
    behind = fn drain, options -> [{:drain, drain}, {:extend_while_stopping, options}, :ready] end

    [slow, hangs, slow_child, hanging_child, alone] =
      all([
        {"slow-stop", [{:drain_extended, 15_000, []}, :ready], @stop, "stop"},
        {"hanging-stop", [{:drain_extended, 90_000, limit: 10_000}, :ready], @stop, "stop"},
        {"slow-drain", behind.(15_000, status: "draining"), @stop, "stop"},
        {"hanging-drain", behind.(:infinity, limit: 10_000), @stop, "stop"},
        {"unextended-stop", [{:drain, 15_000}, :ready], @stop, "stop"}
      ])

    for stopped <- [slow, slow_child] do
      assert {millis, 0, "success", unit} = stopped
      assert millis >= 15_000
      assert ["STOPPING=1"] in Lab.notifications(unit)
    end

    for stopped <- [hangs, hanging_child] do
      assert {millis, 0, "timeout", unit} = stopped
      assert millis in 9_500..14_000
      assert Lab.journal(unit) =~ said("TimeoutStopSec=")
    end

    assert {cut_off, 0, "timeout", _} = alone
    assert cut_off in 2_500..7_000

    IO.puts(
      "TimeoutStopSec=3: drained after #{elem(slow, 0)} and #{elem(slow_child, 0)} ms; " <>
        "with a limit of 10 s ended after #{elem(hangs, 0)} and #{elem(hanging_child, 0)} ms"
    )
  end

  defp extension?(["EXTEND_TIMEOUT_USEC=" <> _]), do: true
  defp extension?(_), do: false

  defp said(setting),
    do:
      "systemd: still running after 10 s, the limit of extend_timeout_while: #{setting} applies now"
end
