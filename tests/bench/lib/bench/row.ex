defmodule Bench.Row do
  @moduledoc """
  One kind of work, measured in several rounds. `x` is where it stands in a plot.

  `figures` has a list for each of those who did it, a figure for each round. `bars` are ratios of two of
  them, `{:at_most | :at_least, one, other, bar}`, or figures, `{:at_most | :at_least, one, bar}`; with
  `{:always, one, bar}` it is that in each round.
  """

  @enforce_keys [:work, :unit, :figures]
  defstruct [:work, :unit, :figures, :x, bars: []]

  @doc "The median, the least and the largest of what a function makes of each round."
  def spread(figures) do
    sorted = Enum.sort(figures)
    {Enum.at(sorted, div(length(sorted), 2)), hd(sorted), List.last(sorted)}
  end

  def figure(row, who), do: spread(row.figures[who])

  def ratio(row, one, other) do
    spread(Enum.zip_with(row.figures[one], row.figures[other], &(&1 / max(&2, 0.001))))
  end

  @doc "The bars that no round holds. Other work of the machine adds to a time, and never takes from it."
  def missed(row) do
    Enum.reject(row.bars, fn
      {side, one, other, bar} -> holds?(side, ratio(row, one, other), bar)
      {:always, one, bar} -> Enum.all?(row.figures[one], &(&1 == bar))
      {side, one, bar} -> holds?(side, figure(row, one), bar)
    end)
  end

  defp holds?(:at_most, {_, least, _}, bar), do: least <= bar
  defp holds?(:at_least, {_, _, largest}, bar), do: largest >= bar
end
