defmodule Bench.Footprint do
  @moduledoc "What the application adds to a service: at the start, in memory, and in a release."
  alias Bench.{Programs, Row}

  # Other work of the machine adds milliseconds to the start of a VM, so the least of all counts.
  @times_as_many 5

  def rows(rounds) do
    boot(:none, [:kernel, :stdlib])
    boot(:ours, [:kernel, :stdlib, :systemd])
    boot(:hex, [:kernel, :stdlib, :enough, :systemd])

    kinds = %{none: :none, ours: :ours, hex: :hex}
    both = Bench.alternating(rounds * @times_as_many, kinds, &measure/1)

    added = fn figure ->
      least =
        Map.new(both, fn {who, rounds} -> {who, rounds |> Enum.map(figure) |> Enum.min()} end)

      Map.new([:ours, :hex], &{&1, [least[&1] - least.none]})
    end

    [
      %Row{work: "added to the start", unit: "ms", figures: added.(&(hd(&1) / 1000))},
      %Row{work: "added to resident memory", unit: "kB", figures: added.(&List.last/1)},
      %Row{
        work: "added to a release",
        unit: "kB",
        figures: %{ours: [size(:ours)], hex: [size(:hex)]}
      }
    ]
  end

  # A boot script, as a release has it: all code is loaded at the start.
  defp boot(whose, applications) do
    versions = for name <- applications, do: {name, version(whose, name)}
    erts = :erlang.system_info(:version)
    release = {:release, {~c"#{whose}", ~c"1"}, {:erts, erts}, versions}
    File.write!(Programs.out("#{whose}.rel"), :io_lib.format("~p.~n", [release]))
    path = Enum.map(Programs.code(whose), &to_charlist/1)

    {:ok, _, _} =
      :systools.make_script(to_charlist(Programs.out("#{whose}")), [
        :silent,
        :no_warn_sasl,
        :local,
        path: path
      ])
  end

  defp version(whose, name) do
    files = for ebin <- Programs.code(whose), do: Path.join(ebin, "#{name}.app")

    case Enum.find(files, &File.exists?/1) do
      nil ->
        _ = Application.load(name)
        Application.spec(name, :vsn)

      file ->
        {:ok, [{:application, ^name, properties}]} = :file.consult(file)
        properties[:vsn]
    end
  end

  defp measure(whose) do
    run = "code:load_abs(\"#{Programs.ebin()}/bench_footprint\"), bench_footprint:main()."
    boot = ["-boot", Programs.out("#{whose}"), "-mode", "embedded", "-noinput", "-eval", run]

    {numbers, _} =
      Programs.receiving(fn path, _ ->
        Programs.numbers(["erl" | boot], [{"NOTIFY_SOCKET", path}])
      end)

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
