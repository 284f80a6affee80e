defmodule Bench.Journal do
  @moduledoc "Log lines until they are stored, by the journald of a systemd of its own."
  alias Bench.{Programs, Row}

  @lines 200_000
  @nanos "/run/bench-nanos"

  def rows(rounds) do
    Programs.install_hex()
    Lab.copy(Application.app_dir(:bench, "ebin"), "/srv/bench/ebin")
    Lab.copy(Programs.out("floor"), "/srv/bench/floor")
    Enum.flat_map([1, 4], &rows(rounds, &1))
  end

  defp rows(rounds, processes) do
    kinds = %{
      floor: ["sh", "-c", "/srv/bench/floor journal #{processes} #{@lines} >#{@nanos}"],
      ours: erl(Programs.in_lab(:ours), "systemd_journal_h", processes),
      hex: erl(Programs.in_lab(:hex), "systemd_journal_h", processes),
      stdout: [
        "systemd-cat",
        "-t",
        "bench" | erl(Programs.in_lab(:ours), "logger_std_h", processes)
      ]
    }

    both = Bench.alternating(rounds, kinds, &measure/1)
    work = "#{@lines} log lines of #{processes} process(es)"

    [
      %Row{
        work: work <> ", until all are sent",
        unit: "ms",
        # Of those who send them all.
        figures: Map.new([:floor, :ours], &{&1, Enum.map(both[&1], fn one -> elem(one, 0) end)}),
        bars: [{:at_most, :ours, :floor, 1.1}]
      },
      %Row{
        work: work <> ", stored",
        unit: "lines",
        figures: Map.new(both, fn {who, rounds} -> {who, Enum.map(rounds, &elem(&1, 1))} end),
        bars: [{:always, :ours, @lines}]
      }
    ]
  end

  defp erl(paths, handler, processes) do
    ["env", "HOME=/root", "erl", "-noinput", "-pa", "/srv/bench/ebin", "/srv/live/ebin"] ++
      paths ++
      ["-run", "bench_flood", "main", handler, "flood", "#{processes}", "#{@lines}", @nanos]
  end

  # Milliseconds, and how many lines were stored. A line has a word, the number of its process, and its own.
  defp measure([command | args]) do
    {_, 0} = Lab.run(command, args)
    nanos = @nanos |> Lab.path() |> File.read!() |> String.trim() |> String.to_integer()
    {_, 0} = Lab.run("journalctl", ["--sync"])

    {count, _} =
      Lab.run("sh", ["-c", "journalctl -q -o cat | grep -cE '(flood|floor) [0-9]+ [0-9]+'"])

    {_, 0} = Lab.run("journalctl", ["--rotate", "--vacuum-size=1"])
    {nanos / 1_000_000, count |> String.trim() |> String.to_integer()}
  end
end
