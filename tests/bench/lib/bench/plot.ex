defmodule Bench.Plot do
  @moduledoc "How the cost of a call grows, as a picture that gnuplot draws."
  alias Bench.Row

  @kinds [floor: "C", ours: "ours", hex: "hex"]

  def write(path, notify, log) do
    script = """
    set terminal svg size 900,380 font "sans,11" background "white"
    set output "#{path}"
    set multiplot layout 1,2
    set logscale xy
    set key top left
    set grid
    set ylabel "µs a call"
    set title "notify, by the number of processes"
    set xlabel "processes"
    set xtics (1, 4, 16, 64)
    #{plot(notify)}
    set title "a log call, by the length of its message"
    set xlabel "bytes"
    set format x "10^{%L}"
    set xtics 10, 100
    #{plot(log)}
    """

    file = Path.rootname(path) <> ".gnuplot"
    File.write!(file, script)
    {"", 0} = System.cmd("gnuplot", [file], stderr_to_stdout: true)
    :ok
  end

  # The data stand in the script itself.
  defp plot(rows) do
    data =
      for {who, _} <- @kinds, into: "" do
        points =
          for %{x: x} = row when x != nil <- rows, into: "" do
            {median, least, largest} = Row.figure(row, who)
            "#{x} #{median / 1000} #{least / 1000} #{largest / 1000}\n"
          end

        "$#{who} << END\n#{points}END\n"
      end

    data <>
      "plot " <>
      Enum.map_join(@kinds, ", ", fn {who, name} ->
        "$#{who} with yerrorlines title \"#{name}\""
      end)
  end
end
