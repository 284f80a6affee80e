defmodule Bench.Notify do
  @moduledoc "What a notification costs, and how that grows with the processes that notify."
  alias Bench.{Programs, Row}

  @calls 200_000

  def rows(rounds, numbers \\ [1, 4, 64]) do
    for processes <- numbers do
      figures = %{
        floor: &floor("send", &1, &2),
        c: &floor("sd_notify", &1, &2),
        ours: &vm(:ours, &1, &2),
        hex: &vm(:hex, &1, &2)
      }

      %Row{
        work: "notify, #{processes} process(es)",
        unit: "ns",
        x: processes,
        figures: Bench.alternating(rounds, figures, &measure(&1, processes)),
        bars:
          if(processes == 1,
            do: [{:at_most, :ours, :floor, 1.3}, {:at_least, :hex, :ours, 5}],
            else: []
          )
      }
    end
  end

  defp measure(command, processes) do
    {[nanos], _} =
      Programs.receiving(fn path, _ ->
        Programs.numbers(command.(processes, @calls), [{"NOTIFY_SOCKET", path}])
      end)

    nanos / @calls
  end

  defp floor(how, processes, calls), do: [Programs.out("floor"), how, "#{processes}", "#{calls}"]
  defp vm(whose, processes, calls), do: Programs.erl(whose, "bench_notify", [processes, calls])
end
