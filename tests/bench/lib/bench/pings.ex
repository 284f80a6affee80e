defmodule Bench.Pings do
  @moduledoc "The longest gap between two pings that are due every 100 ms."
  alias Bench.{Programs, Row}

  @seconds 4

  # With 20,000 busy processes, a VM takes long to start and to end.
  @most_rounds 2

  def rows(rounds) do
    for busy <- [0, 20_000] do
      %Row{
        work: "longest gap between pings, #{busy} busy processes",
        unit: "ms",
        figures:
          Bench.alternating(
            min(rounds, @most_rounds),
            %{ours: :ours, hex: :hex},
            &measure(&1, busy)
          ),
        bars: [{:at_most, :ours, 200}]
      }
    end
  end

  defp measure(whose, busy) do
    command =
      Programs.erl(whose, "bench_pings", [busy, @seconds], [
        "-systemd",
        "watchdog_scale",
        "10",
        "warn_about_readiness_message",
        "false"
      ])

    {_, printed} =
      Programs.receiving(fn path, _ ->
        Programs.numbers(command, [{"NOTIFY_SOCKET", path}, {"WATCHDOG_USEC", "1000000"}])
      end)

    # The last is that of the end.
    times = for line <- String.split(printed), do: String.to_integer(line)
    gaps = Enum.zip_with(times, tl(times), &(&2 - &1))
    Enum.max(gaps) / 1000
  end
end
