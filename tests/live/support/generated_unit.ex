defmodule GeneratedUnit do
  @moduledoc "examples/hello under the units of `mix systemd.gen.unit`."
  import ExUnit.Assertions

  # The library is for the lab, and not among what this project is compiled with.
  @compile {:no_warn_undefined, :systemd_unit_file}

  @project Path.expand("../../..", __DIR__)
  @units "/etc/lab/units"

  @doc "The release under another name, and its units, with `drop_in` beside them: a port, as an operator would give it."
  def install(name, switches, drop_in \\ []) do
    Lab.copy(Lab.hello(), "/opt/#{name}")
    File.rename!(Lab.path("/opt/#{name}/bin/hello"), Lab.path("/opt/#{name}/bin/#{name}"))
    directory = Lab.path("#{@units}/#{name}.service.d")
    File.mkdir_p!(directory)
    # The greeting in the lab is that of other tests.
    lines = ["[Service]", "Environment=GREETING_FILE=/none" | drop_in]
    File.write!("#{directory}/port.conf", Enum.map(lines, &[&1, "\n"]))

    for {file, text} <- files(name, switches), do: Lab.write_unit(file, text)
  end

  @doc "What `mix systemd.gen.unit` writes."
  def files(name, switches) do
    Code.prepend_path("#{@project}/_build/default/lib/systemd/ebin")
    files = name |> :systemd_unit_file.options(:mix, switches) |> :systemd_unit_file.files()
    for {path, text} <- files, do: {Path.basename("#{path}"), "#{text}"}
  end

  @doc "What the printed commands do before they install the release."
  def prepare(name, switches) do
    ExUnit.Callbacks.on_exit(fn -> File.rm_rf!(Lab.path("/etc/#{name}")) end)

    for command <- commands(name, switches),
        command =~ "install -D",
        do: assert({"", 0} = Lab.run("sh", ["-c", "cd /run && " <> command]))
  end

  @doc "The lines that it prints."
  def commands(name, switches) do
    Code.prepend_path("#{@project}/_build/default/lib/systemd/ebin")
    text = name |> :systemd_unit_file.options(:mix, switches) |> :systemd_unit_file.commands()
    String.split("#{text}", "\n")
  end

  @doc "Starts the last first, a socket."
  def start(units) do
    case Lab.run("systemctl", ["start" | Enum.reverse(units)]) do
      {_, 0} -> hd(units)
      {output, _} -> flunk("#{output}\n#{Lab.journal(hd(units))}")
    end
  end

  @doc "systemd-analyze has nothing to say of it."
  def verified(unit),
    do: assert({"", 0} = Lab.run("systemd-analyze", ["verify", "#{@units}/#{unit}"]))

  @doc "What systemd-analyze security says of one that is loaded."
  def exposure(unit) do
    {report, _} = Lab.run("systemd-analyze", ["security", "--no-pager", unit])
    [_, exposure] = Regex.run(~r/Overall exposure level for .*: ([0-9.]+)/, report)
    String.to_float(exposure)
  end

  @doc "It serves, is watched, drained and stopped."
  def lives(unit, port) do
    assert get(port, "/") == "hello\n"
    assert get(port, "/sick") == "feeling sick\n"
    Lab.await_property(unit, "Result", "watchdog", 20_000)
    Lab.await_property(unit, "NRestarts", "1")
    Lab.await_property(unit, "ActiveState", "active")

    request = Task.async(fn -> get(port, "/wait/2") end)
    Lab.await("the request", fn -> connected?(port) end)
    Lab.systemctl!(["stop", "--no-block", unit])
    Lab.await_property(unit, "StatusText", "draining, 1 request")
    assert Task.await(request) == "hello, after 2 s\n"
    Lab.await_property(unit, "ActiveState", "inactive")
    assert Lab.show(unit, "Result") == "success"
  end

  # Accepted: a connection that is still in the socket unit's queue is the next process's.
  defp connected?(port) do
    {output, 0} = Lab.run("ss", ["-Htnp", "state", "established", "( sport = :#{port} )"])
    output =~ "beam.smp"
  end

  @doc "What it answers."
  def get(port, path), do: port |> Lab.get(path) |> List.last()
end
