defmodule JournalLoadTest do
  @moduledoc "Not one line is missing that nobody told of."
  use ExUnit.Case

  @moduletag timeout: 300_000
  @lines 200_000

  defp service(name), do: Lab.start_service(name, [:ready], env: [install_journal: true])

  # What a flood left in the journal, in its order: the lines of each process.
  defp stored(unit, name) do
    lines =
      for line <- String.split(Lab.entries(unit, "cat"), "\n"),
          [^name, process, n] <- [String.split(line, " ")],
          do: {String.to_integer(process), String.to_integer(n)}

    Enum.group_by(lines, &elem(&1, 0), &elem(&1, 1))
  end

  defp count(stored), do: stored |> Map.values() |> Enum.map(&length/1) |> Enum.sum()

  # How many lines the journal was told that it missed, in how many entries.
  defp dropped(unit) do
    reports = Regex.scan(~r/^N_DROPPED=(\d+)$/m, Lab.entries(unit, "export", ["PRIORITY=4"]))
    {Enum.sum(for [_, count] <- reports, do: String.to_integer(count)), length(reports)}
  end

  defp empty_journal do
    {_, 0} = Lab.run("journalctl", ["--rotate", "--vacuum-size=1"])
  end

  # Away from the control socket, which waits for 30 s at most.
  defp run_in(unit, expression) do
    Task.async(fn -> Lab.eval(unit, expression, 120_000) end)
  end

  test "200,000 events of 1 process and of 4: all stored, in order, in the time that C takes" do
    unit = service("flood")

    for processes <- [1, 4], do: assert(ratio(unit, processes, []) <= 1.1)
  end

  # Of the best of six rounds at most: other work of the machine only adds to a time.
  defp ratio(unit, processes, earlier) do
    {output, 0} = Lab.run("/srv/live/priv/journal_floor", ["#{processes}", "#{@lines}"])
    name = "flood-#{processes}-#{length(earlier)}"
    time = Lab.eval(unit, ~s[live_flood:flood("#{name}", #{processes}, #{@lines})], 120_000)
    stored = stored(unit, name)
    each = Enum.to_list(1..div(@lines, processes))
    assert stored == Map.new(1..processes, &{&1, each})
    assert dropped(unit) == {0, 0}
    empty_journal()

    rounds = [{time, output |> String.trim() |> String.to_integer()} | earlier]
    {ours, floor} = Enum.unzip(rounds)
    ratio = Enum.min(ours) / Enum.min(floor)

    IO.puts(
      "#{@lines} events of #{processes} process(es): #{inspect(ours)} µs, " <>
        "sd_journal_send: #{inspect(floor)} µs, ratio #{Float.round(ratio, 2)}"
    )

    if ratio <= 1.1 or length(rounds) == 6, do: ratio, else: ratio(unit, processes, rounds)
  end

  test "200,000 events of 1,000 processes at once: nobody is passed over until its line is dropped" do
    unit = service("many")
    micros = Lab.eval(unit, ~s[live_flood:flood("many", 1000, #{@lines})], 120_000)
    IO.puts("#{@lines} events of 1000 processes: #{micros} µs")
    assert count(stored(unit, "many")) == @lines
    assert dropped(unit) == {0, 0}
    empty_journal()
  end

  test "journald restarts five times under 5,000 lines/s: what is missing is accounted for" do
    unit = service("restarts")
    flood = run_in(unit, ~s[live_flood:steady("steady", 10, 5000, 12)])

    for _ <- 1..5 do
      Process.sleep(2000)
      Lab.systemctl!(["restart", "systemd-journald.service"])
    end

    {logged, longest} = Task.await(flood, 60_000)

    Lab.await("the last lines", fn ->
      count(stored(unit, "steady")) + elem(dropped(unit), 0) >= logged
    end)

    stored = count(stored(unit, "steady"))
    {dropped, reports} = dropped(unit)

    IO.puts(
      "5 restarts of journald: #{logged} lines logged, #{stored} stored, " <>
        "#{dropped} told of as dropped in #{reports} entries; longest call #{div(longest, 1000)} ms"
    )

    assert logged >= 40_000
    assert stored + dropped == logged
  end

  test "journald frozen for 5 s: schedulers free, callers back within the bound, drops counted" do
    assert lateness_while_frozen(1) < 5000
  end

  # In µs, at 99.9%, of the best of three times at most: other work of the machine only adds to it.
  defp lateness_while_frozen(time) do
    unit = service("frozen-#{time}")
    journald = Lab.show("systemd-journald.service", "MainPID")
    flood = run_in(unit, ~s[live_flood:steady("frozen", 50, 5000, 8)])
    Process.sleep(1000)
    {_, 0} = Lab.run("kill", ["-STOP", journald])
    late = run_in(unit, "live_flood:lateness(4)")
    Process.sleep(5000)
    {_, 0} = Lab.run("kill", ["-CONT", journald])

    late = Task.await(late, 60_000)
    {logged, longest} = Task.await(flood, 60_000)

    Lab.await("the last lines", fn ->
      count(stored(unit, "frozen")) + elem(dropped(unit), 0) >= logged
    end)

    stored = count(stored(unit, "frozen"))
    {dropped, reports} = dropped(unit)
    at_999 = Enum.at(late, floor(length(late) * 0.999))

    IO.puts(
      "journald frozen for 5 s: #{logged} lines logged, #{stored} stored, #{dropped} told of as " <>
        "dropped in #{reports} entries; longest call #{div(longest, 1000)} ms (bound 1000 ms); " <>
        "a timer's lateness: #{at_999} µs at 99.9%, #{List.last(late)} µs at worst, of #{length(late)}"
    )

    assert dropped > 0
    assert stored + dropped == logged
    assert longest < 1_200_000
    if at_999 < 5000 or time == 3, do: at_999, else: lateness_while_frozen(time + 1)
  end
end
