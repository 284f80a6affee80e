defmodule Bench.Table do
  @moduledoc "The results as text."
  alias Bench.{Footprint, Journal, Log, Notify, Pings, Row, Service}

  @hold "For how long NIFs hold a normal scheduler, in µs, with the readers draining, and stopped with full queues."
  @columns [floor: "C", c: "sd_notify(3)", stdout: "stdout", ours: "ours", hex: "hex"]

  @titles [
    {Notify,
     "Notifications, the receiver draining: ns for each, of all processes. C: send(2) on a connected socket."},
    {Log,
     "Log calls, ns for each, where journald is quick. C: sd_journal_send(3). The others drop most: see docs/bench.md."},
    {Journal, "The journal of a real journald. C: sd_journal_send(3), by 64 processes at most."},
    {Pings, "The watchdog, at an interval of 100 ms."},
    {Service, "A service under a systemd of its own."},
    {Footprint,
     "What the application adds to a VM in embedded mode, and to a release that is built from the sources."}
  ]

  def text(groups, hold, growth, rounds) do
    sections =
      for {module, title} <- @titles, rows = groups[module], do: [title, "\n", rows(rows), "\n"]

    IO.iodata_to_binary([
      "Medians of #{rounds} rounds; ratios are of each round, median (least to largest).\n",
      "#{System.schedulers_online()} cores, OTP #{System.otp_release()}, #{kernel()}, commit #{commit()}.\n\n",
      sections,
      for({title, unit, points} <- growth, do: [title, "\n", series(unit, points), "\n"]),
      if(hold, do: [@hold, "\n", hold(hold)], else: [])
    ])
  end

  # What grows, from left to right.
  defp series(unit, points) do
    [{_, first} | _] = points
    head = ["" | for({x, _} <- points, do: "#{x}")]

    body =
      for who <- Map.keys(first),
          do: ["#{who}, #{unit}" | for({_, figures} <- points, do: number(figures[who]))]

    aligned([head | body])
  end

  defp commit do
    {hash, 0} = System.cmd("git", ["describe", "--always", "--dirty", "--exclude", "*"])
    String.trim(hash)
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
