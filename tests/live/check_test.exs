defmodule CheckTest do
  @moduledoc "The ready-made checks: passing, then failing, as an operator sees it, and the restart."
  use ExUnit.Case, async: true

  @service ["WatchdogSec=3", "Restart=on-failure", "RestartSec=500ms"]

  @servers ~S"""
  supervisor:start_child(live_sup, #{
      id => server, start => {gen_server, start_link, [{local, server}, live_service, crasher, []]}
  }),
  supervisor:start_child(live_sup, #{
      id => other_sup, start => {supervisor, start_link, [{local, other_sup}, live_service, other_sup]}
  })
  """

  # A server that answers nothing for a minute.
  @hold "spawn(fun() -> sys:replace_state(server, fun(S) -> timer:sleep(60000), S end, infinity) end)"

  @has_not_answered ~r/^watchdog: process server has not answered within 1000 ms$/

  # Each: what is checked, what makes it fail, and what the status says then.
  @checks [
    {"run_queue", "{run_queue, 100}", "live_service:busy(300)",
     ~r/^watchdog: run_queue \d+ > 100$/},
    {"memory", "{memory, 200000000}",
     "persistent_term:put(big, binary:copy(binary:copy(<<1>>, 10000), 30000)), ok",
     ~r/^watchdog: memory .* > /},
    {"process", "{process, server}", @hold, @has_not_answered},
    {"process-gone", "{process, server}", "supervisor:terminate_child(live_sup, server)",
     ~r/^watchdog: process server is not registered$/},
    {"mailbox", "{mailbox, server, 1000}",
     "sys:suspend(server), [gen_server:cast(server, hello) || _ <- lists:seq(1, 1500)], ok",
     ~r/^watchdog: mailbox server 1500 > 1000$/},
    {"supervisor", "{supervisor, other_sup}",
     "persistent_term:put(restart_in_vain, true), exit(whereis(other), kill)",
     ~r/^watchdog: supervisor other_sup: child other is not up$/},
    {"schedulers", "{schedulers, 500}", "live_service:block_another(60000)",
     ~r/^watchdog: scheduler.* \d+/},
    {"all", "{all, [{process, live_sup}, {mailbox, server, 9}, {process, server}]}", @hold,
     @has_not_answered},
    {"list", "[{process, live_sup}, {process, server}]", @hold, @has_not_answered},
    {"any", "{any, [fun() -> false end, {process, server}]}", @hold, ~r/^watchdog: .*server/},
    {"every", "{every, 100, {process, server}}", @hold, @has_not_answered},
    {"timeout", "{timeout, 300, {process, server}}", @hold,
     ~r/^watchdog: process server has not answered within 300 ms$/},
    {"timeout-function", "{timeout, 300, {timer, sleep, [300000]}}", nil,
     ~r/^watchdog: timer:sleep\/1 has not returned within 300 ms$/},
    {"function", "{persistent_term, get, [well, true]}", "persistent_term:put(well, false)",
     ~r/^watchdog: persistent_term:get\/2 returned false$/}
  ]

  # Some at a time, because they take theirs; all of them asking all the time keep systemd 257 from its timers.
  test "each check: passing, then failing, told of once, then restarted" do
    units =
      for {name, _, _, _} <- @checks,
          do: Lab.start_service("check-#{name}", [:ready], service: @service)

    Enum.zip(units, @checks)
    |> Task.async_stream(fn {unit, check} -> go_through(unit, check) end,
      max_concurrency: 5,
      timeout: 60_000
    )
    |> Stream.run()
  end

  test "a service that goes down is not asked any more" do
    children = [{:drain, 5000}, {:named, :up}, :ready]
    unit = Lab.start_service("check-drain", children, service: @service)

    :ok =
      Lab.eval(
        unit,
        "application:set_env(systemd, watchdog_check, {live_service, 'registered?', [up]})"
      )

    {millis, _} = Lab.timed(fn -> Lab.systemctl!(["stop", unit]) end)
    assert millis > 5000

    assert %{"Result" => "success", "NRestarts" => "0"} =
             Lab.show_all(unit, ["Result", "NRestarts"])

    refute Lab.journal(unit) =~ "watchdog_check"
  end

  defp go_through(unit, {name, check, fail, status}) do
    {:ok, _} = Lab.eval(unit, @servers)
    set = "application:set_env(systemd, watchdog_check, #{check})"
    if fail, do: pass(unit, set)
    Lab.eval(unit, fail || set)

    text =
      Lab.await("#{name}: a status of the watchdog", fn ->
        text = Lab.show(unit, "StatusText")
        String.starts_with?(text, "watchdog: ") && text
      end)

    IO.puts("#{name}: #{text}")
    assert text =~ status
    Lab.await_property(unit, "NRestarts", "1")
    assert Lab.journal(unit) =~ "Failed with result 'watchdog'"
    said = String.replace_prefix(text, "watchdog: ", "watchdog_check: ")
    # The processes that log may be waiting for the scheduler that is stuck.
    lines =
      for line <- String.split(Lab.journal(unit), "\n"),
          line =~ "systemd: watchdog_check: ",
          do: line

    assert name == "schedulers" or
             lines == [
               "systemd: #{said}. No ping until it passes; systemd ends the service after WatchdogSec="
             ],
           "#{name}: #{inspect(lines)}"
  end

  # For longer than the timeout.
  defp pass(unit, set) do
    :ok = Lab.eval(unit, set)
    Process.sleep(3500)

    assert Lab.show_all(unit, ["StatusText", "NRestarts"]) ==
             %{"StatusText" => "ready", "NRestarts" => "0"}
  end
end
