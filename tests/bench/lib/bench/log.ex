defmodule Bench.Log do
  @moduledoc """
  What a log call costs its caller, by the length of the message, where journald is quick: a socket in its
  place swallows everything.
  """
  alias Bench.{Programs, Row}

  @sizes [256, 4096, 65_536, 1_048_576, 16_777_216]

  def rows(rounds, sizes \\ @sizes),
    do: [above_formatting(rounds) | Enum.map(sizes, &of_size(&1, rounds))]

  defp above_formatting(rounds) do
    calls = 20_000

    kinds = %{
      base: vm(:ours, "bench_journal", 0, calls),
      ours: vm(:ours, "systemd_journal_h", 0, calls),
      hex: vm(:hex, "systemd_journal_h", 0, calls)
    }

    %{base: base} = costs = Bench.alternating(rounds, kinds, &(measure(&1) / calls))

    %Row{
      work: "log call with a format, above formatting it",
      unit: "ns",
      figures:
        Map.new(
          [:ours, :hex],
          &{&1, Enum.zip_with(costs[&1], base, fn all, text -> all - text end)}
        ),
      bars: [{:at_most, :ours, 5000}, {:at_least, :hex, :ours, 4}]
    }
  end

  defp of_size(size, rounds) do
    calls = min(20_000, div(25_000_000, size) + 1)

    kinds = %{
      floor: [Programs.out("floor"), "journal", "1", "#{calls}", "#{size}"],
      ours: vm(:ours, "systemd_journal_h", size, calls),
      hex: vm(:hex, "systemd_journal_h", size, calls),
      stdout: vm(:stdout, "logger_std_h", size, calls)
    }

    %Row{
      work: "log call, #{Bench.bytes(size)}",
      unit: "ns",
      x: size,
      figures: Bench.alternating(rounds, kinds, &(measure(&1) / calls)),
      bars: if(size <= 4096, do: [{:at_most, :ours, :floor, 1}], else: [])
    }
  end

  # Its standard output is read by nobody who takes his time.
  defp vm(:stdout, handler, size, calls) do
    ["sh", "-c", "exec \"$@\" >/dev/null", "sh"] ++
      Programs.erl(:ours, "bench_journal", [handler, size, calls], [
        "-systemd",
        "install_kmsg",
        "false"
      ])
  end

  defp vm(whose, handler, size, calls),
    do: Programs.erl(whose, "bench_journal", [handler, size, calls])

  defp measure(command) do
    [nanos] = Programs.numbers(swallowed(command))
    nanos
  end

  @doc "Runs a command in namespaces in which the swallowing socket is journald's, with a queue as long."
  def swallowed(command) do
    script = """
    set -e
    echo 512 >/proc/sys/net/unix/max_dgram_qlen
    mkdir -p /run/systemd/journal
    mount -t tmpfs tmpfs /run/systemd/journal
    #{Programs.out("journal_swallow")} /run/systemd/journal/socket &
    trap "kill $!" EXIT
    until [ -S /run/systemd/journal/socket ]; do sleep 0.01; done
    "$@"
    """

    ["unshare", "--mount", "--net", "bash", "-c", script, "bash" | command]
  end
end
