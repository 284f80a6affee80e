defmodule Bench.Hold do
  @moduledoc """
  For how long the NIFs hold a normal scheduler that a running service calls there: nanoseconds at 50 %, at
  99.9 % and at most.
  """
  alias Bench.Programs

  @calls 20_000
  @calls_without_reader 40
  # On a dirty scheduler; `loaded` is no NIF.
  @elsewhere ~w(loaded listen_fds journal_log_large)

  @doc "`{nif, draining, stopped}`, each of the last two `{calls, p50, p999, max}` or `nil`."
  def table do
    {draining, stopped} = {measure(@calls, false), measure(@calls_without_reader, true)}
    # With full queues lines were dropped.
    true = is_map_key(stopped, "journal_drop")
    names = Map.keys(Map.merge(draining, stopped)) -- @elsewhere
    for name <- Enum.sort(names), do: {name, draining[name], stopped[name]}
  end

  defp measure(calls, stopped?) do
    {{output, _}, _} =
      Programs.receiving(fn notify, notify_pid ->
        Programs.receiving(fn journal, journal_pid ->
          readers = if stopped?, do: [notify_pid, journal_pid], else: []
          [command | args] = Programs.erl(:ours, "bench_hold", [calls | readers], ["+S", "1"])

          env = [
            {"NOTIFY_SOCKET", notify},
            {"JOURNAL_SOCKET", journal},
            {"WATCHDOG_USEC", "1000000"}
          ]

          {output, 0} = System.cmd(command, args, env: env)
          output
        end)
      end)

    for line <- String.split(output, "\n", trim: true),
        [name | numbers] <- [String.split(line)],
        into: %{},
        do: {name, List.to_tuple(Enum.map(numbers, &String.to_integer/1))}
  end
end
