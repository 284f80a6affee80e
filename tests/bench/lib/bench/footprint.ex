defmodule Bench.Footprint do
  @moduledoc "What the application adds to a service: at the start, in memory, and in a release."
  alias Bench.{Programs, Row}

  def rows(rounds) do
    kinds = %{none: {:none, "kernel"}, ours: {:ours, "systemd"}, hex: {:hex, "systemd"}}
    both = Bench.alternating(rounds, kinds, &measure/1)
    figures = fn fun -> Map.new([:ours, :hex], &{&1, Enum.zip_with(both[&1], both.none, fun)}) end

    [
      %Row{
        work: "added to the start",
        unit: "ms",
        figures: figures.(&((hd(&1) - hd(&2)) / 1000))
      },
      %Row{
        work: "added to resident memory",
        unit: "kB",
        figures: figures.(&(List.last(&1) - List.last(&2)))
      },
      %Row{
        work: "added to a release",
        unit: "kB",
        figures: %{ours: [size(:ours)], hex: [size(:hex)]}
      }
    ]
  end

  defp measure({whose, application}) do
    command = Programs.erl(whose, "bench_footprint", [application])

    {numbers, _} =
      Programs.receiving(fn path, _ -> Programs.numbers(command, [{"NOTIFY_SOCKET", path}]) end)

    numbers
  end

  # Of what is in a release: compiled code, stripped, and the native library.
  defp size(whose) do
    ebins = Programs.code(whose)
    beams = for ebin <- ebins, file <- Path.wildcard("#{ebin}/*.beam"), do: File.read!(file)
    {:ok, stripped} = :beam_lib.strip_files(beams)

    others =
      for ebin <- ebins,
          name <- ["*.app", "../priv/*.so"],
          file <- Path.wildcard("#{ebin}/#{name}"),
          do: file

    sizes = Enum.map(stripped, &byte_size(elem(&1, 1))) ++ Enum.map(others, &File.stat!(&1).size)
    Enum.sum(sizes) / 1000
  end
end
