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
    set xtics (1, 4, 64)
    #{plot(notify)}
    set title "a log call, by the length of its message"
    set xlabel "bytes"
    set format x "10^{%L}"
    set xtics 10, 100
    #{plot(log)}
    """

    draw(path, script)
  end

  def write_growth(path, series) do
    plots =
      for {title, unit, points} <- series, into: "" do
        [{_, first} | _] = points
        kinds = Map.keys(first)

        data =
          for who <- kinds, into: "" do
            lines = for {x, figures} <- points, into: "", do: "#{x} #{figures[who]}\n"
            "$#{who} << END\n#{lines}END\n"
          end

        lines = Enum.map_join(kinds, ", ", &"$#{&1} with linespoints title \"#{&1}\"")
        "set title \"#{title}\"\nset ylabel \"#{unit}\"\n#{data}plot #{lines}\n"
      end

    draw(path, """
    set terminal svg size 900,760 font "sans,11" background "white"
    set output "#{path}"
    set multiplot layout 2,2
    set logscale xy
    set format x "%.0s%c"
    set key top left noenhanced
    set title noenhanced
    set grid
    #{plots}
    """)
  end

  defp draw(path, script) do
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
