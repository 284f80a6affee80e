defmodule Bench.Table do
  @moduledoc "The results as text."
  alias Bench.{Footprint, Journal, Log, Notify, Pings, Row, Service}

  @columns [floor: "C", c: "sd_notify(3)", stdout: "stdout", ours: "ours", hex: "hex"]

  def text(groups, hold, rounds) do
    """
    Medians of #{rounds} rounds; ratios are of each round, median (least to largest).
    #{System.schedulers_online()} cores, OTP #{System.otp_release()}, #{kernel()}.

    Notifications, the receiver draining: ns for each, of all processes. C: send(2) on a connected socket.
    #{rows(groups[Notify])}
    Log calls, ns for each, where journald is quick. C: sd_journal_send(3). The others drop most: see docs/bench.md.
    #{rows(groups[Log])}
    The journal of a real journald. C: sd_journal_send(3).
    #{rows(groups[Journal])}
    The watchdog, at an interval of 100 ms.
    #{rows(groups[Pings])}
    A service under a systemd of its own.
    #{rows(groups[Service])}
    What the application adds.
    #{rows(groups[Footprint])}
    For how long NIFs hold a normal scheduler, in µs, with the readers draining, and stopped with full queues.
    #{hold(hold)}\
    """
  end

  defp kernel do
    {release, 0} = System.cmd("uname", ["-sr"])
    String.trim(release)
  end

  defp rows(rows) do
    columns =
      for {who, name} <- @columns, Enum.any?(rows, &is_map_key(&1.figures, who)), do: {who, name}

    head = ["", "" | for({_, name} <- columns, do: name)] ++ ["ours / C", "hex / ours", "bar"]

    body =
      for row <- rows do
        figures = for {who, _} <- columns, do: figure(row, who)

        [row.work, row.unit] ++
          figures ++ [ratio(row, :ours, :floor), ratio(row, :hex, :ours), bars(row)]
      end

    aligned([head | body])
  end

  defp figure(row, who) when is_map_key(row.figures, who),
    do: number(elem(Row.figure(row, who), 0))

  defp figure(_, _), do: ""

  defp ratio(row, one, other)
       when is_map_key(row.figures, one) and is_map_key(row.figures, other) do
    {median, least, largest} = Row.ratio(row, one, other)
    "#{number(median)} (#{number(least)} to #{number(largest)})"
  end

  defp ratio(_, _, _), do: ""

  defp bars(row), do: Enum.map_join(row.bars, ", ", &bar/1)

  defp bar({side, :ours, :floor, bar}), do: "ours / C #{sign(side)} #{bar}"
  defp bar({side, :hex, :ours, bar}), do: "hex / ours #{sign(side)} #{bar}"
  defp bar({side, :ours, bar}), do: "ours #{sign(side)} #{bar}"

  defp sign(:always), do: "="
  defp sign(:at_most), do: "<="
  defp sign(:at_least), do: ">="

  defp hold(table) do
    head = ["", "calls", "50 %", "99.9 %", "most", "stopped: calls", "50 %", "most"]

    body =
      for {name, draining, stopped} <- table do
        [name] ++ quantiles(draining, [1, 2, 3]) ++ quantiles(stopped, [1, 3])
      end

    aligned([head | body])
  end

  defp quantiles(nil, indexes), do: ["" | Enum.map(indexes, fn _ -> "" end)]

  defp quantiles(quantiles, indexes),
    do: ["#{elem(quantiles, 0)}" | Enum.map(indexes, &number(elem(quantiles, &1) / 1000))]

  defp number(number) when abs(number) >= 100, do: "#{round(number)}"

  defp number(number),
    do: :erlang.float_to_binary(number / 1, decimals: if(abs(number) < 10, do: 2, else: 1))

  # The first column to the left, the others to the right.
  defp aligned(rows) do
    widths =
      rows
      |> Enum.zip_with(& &1)
      |> Enum.map(fn cells -> cells |> Enum.map(&String.length/1) |> Enum.max() end)

    for [first | others] <- rows, into: "" do
      [width | rest] = widths
      cells = Enum.zip_with(others, rest, &String.pad_leading/2)
      String.trim_trailing(Enum.join([String.pad_trailing(first, width) | cells], "  ")) <> "\n"
    end
  end
end
