defmodule Bench do
  @moduledoc """
  Measures this library beside the hex package and beside C, on this machine.

      mix run -e 'Bench.main(["--rounds", "3"])'

  Writes a table, and plots beside it, to `_build/bench`. With `quick`, only prints what the hot paths cost. With
  `--check` the exit status is 1 if no round holds a bar.
  """
  alias Bench.{
    Footprint,
    Growth,
    Hold,
    Journal,
    Log,
    Notify,
    Pings,
    Plot,
    Programs,
    Row,
    Service,
    Table
  }

  def main(args) do
    {options, words} = OptionParser.parse!(args, strict: [rounds: :integer, check: :boolean])
    rounds = Keyword.get(options, :rounds, 3)
    Programs.build()
    Lab.boot()
    groups = groups(words, rounds)
    if options[:check], do: check(groups)
  end

  defp groups(["quick"], rounds) do
    groups = %{
      Notify => timed(Notify, fn -> Notify.rows(rounds, [1]) end),
      Log => timed(Log, fn -> Log.rows(rounds, [256]) end),
      Journal => timed(Journal, fn -> Journal.rows(rounds, [4]) end)
    }

    IO.puts(Table.text(groups, nil, [], rounds))
    groups
  end

  defp groups([], rounds) do
    groups =
      for module <- [Notify, Log, Journal, Pings, Service, Footprint],
          into: %{},
          do: {module, timed(module, fn -> module.rows(rounds) end)}

    growth = timed(Growth, &Growth.series/0)
    hold = timed(Hold, &Hold.table/0)
    text = Table.text(groups, hold, growth, rounds)
    IO.puts(text)
    File.write!(Programs.out("bench.txt"), text)
    Plot.write(Programs.out("bench.svg"), groups[Notify], groups[Log])
    Plot.write_growth(Programs.out("growth.svg"), growth)
    groups
  end

  defp timed(module, measure) do
    {micros, result} = :timer.tc(measure)
    IO.puts(:stderr, "bench: #{inspect(module)}: #{div(micros, 1_000_000)} s")
    result
  end

  defp check(groups) do
    missed = for {_, rows} <- groups, row <- rows, bar <- Row.missed(row), do: {row.work, bar}
    for {work, bar} <- missed, do: IO.puts("bench: #{work}: #{inspect(bar)} is missed")
    if missed != [], do: exit({:shutdown, 1})
  end

  @doc "So many rounds, in each of which all of them are measured, one after the other."
  def alternating(rounds, kinds, measure) do
    results = for _ <- 1..rounds, {who, kind} <- kinds, do: {who, measure.(kind)}
    Enum.group_by(results, &elem(&1, 0), &elem(&1, 1))
  end

  @doc "A number of bytes, for readers."
  def bytes(size) when size >= 1_048_576, do: "#{div(size, 1_048_576)} MiB"
  def bytes(size) when size >= 1024, do: "#{div(size, 1024)} KiB"
  def bytes(size), do: "#{size} B"
end
