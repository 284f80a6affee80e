defmodule Bench.Journal do
  @moduledoc "Log lines until they are stored, by the journald of a systemd of its own."
  alias Bench.{Programs, Row}

  # The same number for each process, whether there are 64 or 1,000.
  @lines 128_000
  @nanos "/run/bench-nanos"

  # More processes of C than this don't store the lines faster.
  @most_of_c 64

  def rows(rounds, numbers \\ [1, 4, 16, 64, 1000]) do
    Programs.install_hex()
    Lab.copy(Application.app_dir(:bench, "ebin"), "/srv/bench/ebin")
    Lab.copy(Programs.out("floor"), "/srv/bench/floor")
    Enum.flat_map(numbers, &of_processes(rounds, &1))
  end

  defp of_processes(rounds, processes) do
    floor = min(processes, @most_of_c)

    kinds = %{
      floor: ["sh", "-c", "/srv/bench/floor journal #{floor} #{@lines} >#{@nanos}"],
      ours: erl(Programs.in_lab(:ours), "systemd_journal_h", processes)
    }

    kinds = if processes == 1, do: Map.merge(kinds, others()), else: kinds
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

  # They drop most of the lines.
  defp others do
    %{
      hex: erl(Programs.in_lab(:hex), "systemd_journal_h", 1),
      stdout: ["systemd-cat", "-t", "bench" | erl(Programs.in_lab(:ours), "logger_std_h", 1)]
    }
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
