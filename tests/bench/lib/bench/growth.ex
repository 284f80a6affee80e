defmodule Bench.Growth do
  @moduledoc "How the cost of a call grows with what it is called with: the median of several calls."
  alias Bench.{Log, Programs}

  @fields [0, 10, 30, 100, 300, 1000]
  @handlers [1, 2, 4, 8]
  @bytes [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
  @connections [10, 100, 1000, 9000, 100_000]

  @doc "`{Title, Unit, [{X, Figures}]}` for each kind of work."
  def series do
    [
      {"A log call, by its fields of metadata", "µs", log("fields", @fields)},
      {"A log call, by the number of handlers", "µs", log("handlers", @handlers)},
      {"store_term, by bytes, and write(2) with fsync(2) of as many", "µs", store()},
      {"A look of the drainer, every 20 ms or less often, by open connections", "µs", drain()}
    ]
  end

  defp log(what, numbers) do
    for number <- numbers do
      command = Programs.erl(:ours, "bench_growth", [what, number])
      [nanos] = Programs.numbers(Log.swallowed(command))
      {number, %{ours: nanos / 1000}}
    end
  end

  defp store do
    for bytes <- @bytes do
      {[store, write], _} =
        Programs.receiving(fn path, _ ->
          command =
            Programs.erl(:ours, "bench_growth", ["store_term", bytes, Programs.out("fsync")])

          Programs.numbers(command, [{"NOTIFY_SOCKET", path}])
        end)

      {bytes, %{ours: store / 1000, fsync: write / 1000}}
    end
  end

  # Each connection has two descriptors in the VM. As many as the limit of descriptors allows.
  defp drain do
    most = most_descriptors()

    for connections <- @connections, 2 * connections + 1000 <= most do
      vm = Programs.erl(:ours, "bench_growth", ["drainer", connections], ["+Q", "300000"])
      script = "ip link set lo up && ulimit -n #{most} && exec \"$@\""
      [nanos] = Programs.numbers(["unshare", "--net", "sh", "-c", script, "sh" | vm])
      {connections, %{ours: nanos / 1000}}
    end
  end

  defp most_descriptors do
    {limit, 0} = System.cmd("sh", ["-c", "ulimit -Hn"])
    with :error <- Integer.parse(limit), do: 300_000, else: ({limit, _} -> min(limit, 300_000))
  end
end
