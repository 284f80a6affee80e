defmodule SoakTest do
  @moduledoc "A service under everything at once, for `SOAK_SECONDS` (300). A page tells what became of it."
  use ExUnit.Case

  @notifications 10_000
  @lines 5_000
  # Seconds, until the VM's allocators have what they need.
  @warm_up 120

  test "everything at once: nothing lost, nothing left, no restart" do
    seconds = String.to_integer(System.get_env("SOAK_SECONDS", "300"))
    assert seconds >= 60, "everything has its turn within a minute"
    Lab.copy(Application.app_dir(:soak, "ebin/soak_load.beam"), "/srv/live/ebin/soak_load.beam")
    # What the manager says of each notification would be as many lines again.
    Lab.systemctl!(["log-level", "info"])

    service = [
      "WatchdogSec=5",
      "Restart=on-failure",
      "FileDescriptorStoreMax=16",
      "ExecReload=/bin/kill -HUP $MAINPID"
    ]

    env = [install_journal: true, reload: {:soak_load, :reload, []}]
    unit = Lab.start_service("soak", [:ready], service: service, env: env)

    _ = run(unit, @warm_up)
    before = held(unit)
    result = run(unit, seconds)
    later = held(unit)
    page(seconds, result, before, later)

    returned = for {{what, returned}, _} <- result.counts, what in [:notify, :store], do: returned
    assert Enum.sort(returned) == [:ok, [:ok]]
    assert result.counts[{:notify, :ok}] >= 0.9 * seconds * @notifications
    assert result.logged >= 0.9 * seconds * @lines

    assert result.counts[{:stall, :ok}] > seconds / 3 and
             result.counts[{:kill, true}] > 2 * seconds

    # What a kill has interrupted is done again.
    assert result.done["functions of reload"] >= result.done["reloads"]
    # The manager reads them in order.
    assert {result.barrier, result.status} == {:ok, "the last"}
    assert result.lines.out_of_order == 0
    assert result.lines.stored + result.lines.dropped == result.logged
    assert result.lines.dropped == result.dropped
    assert Lab.show(unit, "NFileDescriptorStore") == "0"
    assert {Lab.show(unit, "ActiveState"), Lab.show(unit, "NRestarts")} == {"active", "0"}
    assert later == before
    early = hd(result.resident)
    assert abs(List.last(result.resident) - early) <= early / 100
  end

  defp run(unit, seconds) do
    dropped = dropped(unit)
    :ok = Lab.eval(unit, "soak_load:start(#{@notifications}, #{@lines})")
    told = Lab.eval(unit, "soak_load:reloads()")
    {lines, done, resident} = disturb(unit, Lines.new(), 1, seconds, {%{}, []})
    counts = Lab.eval(unit, "soak_load:stop()", 60_000)
    :ok = Lab.eval(unit, "systemd:clear_fds([soak, soak_term])")
    :ok = Lab.eval(unit, ~S|systemd:notify({status, "the last"})|)
    barrier = Lab.eval(unit, "systemd:barrier(30000)", 60_000)
    reloads = Lab.eval(unit, "soak_load:reloads()") - told
    logged = for {{:log, _}, count} <- counts, reduce: 0, do: (sum -> sum + count)
    lines = await_lines(unit, lines, logged)

    %{
      lines: lines,
      logged: logged,
      resident: means_of_fifths(resident),
      dropped: dropped(unit) - dropped,
      done: Map.put(done, "functions of reload", reloads),
      counts: counts,
      barrier: barrier,
      status: Lab.show(unit, "StatusText")
    }
  end

  defp dropped(unit) do
    Lab.eval(unit, "maps:get(dropped, maps:get(default, maps:get(journal, systemd:info())))")
  end

  # What happens from outside, second by second.
  defp disturb(_, lines, second, seconds, {done, resident}) when second > seconds,
    do: {lines, done, Enum.reverse(resident)}

  defp disturb(unit, lines, second, seconds, {done, resident}) do
    from = System.monotonic_time(:millisecond)

    happens = [
      {"reloads", 5, fn -> Lab.systemctl!(["reload", unit]) end},
      {"daemon-reexecs", 20, fn -> Lab.systemctl!(["daemon-reexec"]) end},
      {"restarts of journald", 30,
       fn -> Lab.systemctl!(["restart", "systemd-journald.service"]) end}
    ]

    due = for {what, every, fun} <- happens, rem(second, every) == 0, do: {what, fun}
    for {_, fun} <- due, do: fun.()
    done = for {what, _} <- due, reduce: done, do: (done -> Map.update(done, what, 1, &(&1 + 1)))
    lines = if rem(second, 10) == 0, do: Lines.read(lines, unit), else: lines
    Process.sleep(max(0, from + 1000 - System.monotonic_time(:millisecond)))
    disturb(unit, lines, second + 1, seconds, {done, [resident(unit) | resident]})
  end

  defp await_lines(unit, lines, total, tries \\ 20) do
    lines = Lines.read(lines, unit)

    if lines.stored + lines.dropped >= total or tries == 0 do
      lines
    else
      Process.sleep(500)
      await_lines(unit, lines, total, tries - 1)
    end
  end

  defp held(unit) do
    Process.sleep(3000)
    :ok = Lab.eval(unit, "[erlang:garbage_collect(P) || P <- processes()], ok")

    %{
      pid: Lab.show(unit, "MainPID"),
      descriptors: Lab.count(unit, "fd"),
      threads: Lab.count(unit, "task")
    }
  end

  defp means_of_fifths(resident) do
    fifth = div(length(resident), 5)

    for samples <- Enum.chunk_every(resident, fifth, fifth, :discard),
        do: div(Enum.sum(samples), fifth)
  end

  defp resident(unit) do
    {status, 0} = Lab.run("cat", ["/proc/#{Lab.show(unit, "MainPID")}/status"])
    [_, resident] = Regex.run(~r/VmRSS:\s+(\d+) kB/, status)
    String.to_integer(resident)
  end

  defp page(seconds, result, before, later) do
    IO.puts("""

    #{seconds} s, after #{@warm_up} s to warm up
    #{for {what, count} <- Enum.sort(result.done), do: "  #{what}: #{count}\n"}\
    #{for {{what, returned}, count} <- Enum.sort(result.counts), do: "  #{what}, returned #{inspect(returned)}: #{count}\n"}\
      barrier at the end: #{inspect(result.barrier)}; the manager's StatusText: #{result.status}
      resident, in the mean of each fifth: #{Enum.join(result.resident, ", ")} kB
      lines: #{inspect(Map.drop(Map.from_struct(result.lines), [:last]))}
      before: #{inspect(before)}
      later:  #{inspect(later)}
    """)
  end
end
