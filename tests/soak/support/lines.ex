defmodule Lines do
  @moduledoc """
  The lines of `soak_load` in the journal, read as they come: the journal itself is kept small.

  `missing` are those that are not there although a later one of the same process is, `dropped` those that the
  journal was told of as dropped.
  """

  defstruct last: %{}, stored: 0, missing: 0, out_of_order: 0, dropped: 0, reports: 0

  def new, do: %__MODULE__{}

  def read(lines, unit) do
    pid = Lab.show(unit, "MainPID")
    lines = journal(pid, "cat", "lines", []) |> Enum.reduce(lines, &line/2)
    lines = journal(pid, "export", "drops", ["PRIORITY=4"]) |> Enum.reduce(lines, &drop/2)
    {_, 0} = Lab.run("journalctl", ["--rotate", "--vacuum-size=100M"])
    lines
  end

  # From where it was read last.
  defp journal(pid, format, name, matches) do
    {_, 0} = Lab.run("journalctl", ["--sync"])
    args = ["-q", "-o", format, "--cursor-file=/run/soak-#{name}", "_PID=#{pid}" | matches]
    # The status is 1 where there is none.
    {output, status} = Lab.run("journalctl", args)
    true = status in [0, 1]
    String.split(output, "\n")
  end

  defp line("soak " <> numbers, lines) do
    [logger, n] = numbers |> String.split() |> Enum.map(&String.to_integer/1)
    last = Map.get(lines.last, logger, 0)
    lines = %{lines | stored: lines.stored + 1, last: Map.put(lines.last, logger, n)}

    if n > last,
      do: %{lines | missing: lines.missing + n - last - 1},
      else: %{lines | out_of_order: lines.out_of_order + 1}
  end

  defp line(_, lines), do: lines

  defp drop("N_DROPPED=" <> count, lines),
    do: %{lines | dropped: lines.dropped + String.to_integer(count), reports: lines.reports + 1}

  defp drop(_, lines), do: lines
end
