defmodule Bench do
  @moduledoc """
  Measures this library beside the hex package and beside C, on this machine.

      mix run -e 'Bench.main(["--rounds", "3"])'

  Writes a table, and a plot beside it, to `_build/bench`. With `--check` the exit status is 1 when a bar is
  missed by more than the room that is left for other work of the machine.
  """
  alias Bench.{Footprint, Hold, Journal, Log, Notify, Pings, Plot, Programs, Row, Service, Table}

  # A bar is missed when it is missed by more than a quarter.
  @room 1.25

  def main(args) do
    {options, []} = OptionParser.parse!(args, strict: [rounds: :integer, check: :boolean])
    rounds = Keyword.get(options, :rounds, 3)
    Programs.build()
    Lab.boot()

    groups =
      for module <- [Notify, Log, Journal, Pings, Service, Footprint], into: %{} do
        {micros, rows} = :timer.tc(fn -> module.rows(rounds) end)
        IO.puts(:stderr, "bench: #{inspect(module)}: #{div(micros, 1_000_000)} s")
        {module, rows}
      end

    hold = Hold.table()
    text = Table.text(groups, hold, rounds)
    IO.puts(text)
    File.write!(Programs.out("bench.txt"), text)
    Plot.write(Programs.out("bench.svg"), groups[Notify], groups[Log])
    if options[:check], do: check(groups)
  end

  defp check(groups) do
    missed =
      for {_, rows} <- groups, row <- rows, bar <- Row.missed(row, @room), do: {row.work, bar}

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
