defmodule Mix.Tasks.Systemd.Gen.Unit do
  @shortdoc "Writes the systemd units of the project's release"
  @moduledoc """
  Writes `rel/systemd/NAME.service` for the project's release, and says how to install it.

      mix systemd.gen.unit
      mix systemd.gen.unit --socket 80
      mix systemd.gen.unit my_release --user my_app --memory 2G

  Each line has a comment that says what it is for. The unit is hardened as far as the BEAM bears it. A file that is
  there is not overwritten without a question.

  ## Options

    * `--socket PORT` - writes `NAME.socket` too, which holds this port while the service is down or restarts. The
      service asks for it by `Systemd.listen_opts("http", 4000)`
    * `--versions` - with `--socket`: a unit for each version, `NAME@VERSION.service`, and the script `deploy`, which
      starts a new version beside the one that runs, and stops that one when the new one is ready
    * `--low-port` - without a socket unit: may bind ports below 1024
    * `--notify-reload` - `Type=notify-reload`, which systemd has from version 253 on
    * `--drain SECONDS` - for how long the drainer may hold shutdown, 30 by default
    * `--credential NAME` - a secret, in the file `/etc/RELEASE/NAME`; as often as there are secrets
    * `--distribution PORT` - Erlang distribution on this machine, for `rpc` and `remote`: the node listens at this
      port, and there is no epmd. The cookie is in `/etc/RELEASE/cookie`; the release's script puts it on the VM's command line,
      which other users of the machine may see
    * `--memory SIZE` - `MemoryMax=`: bytes, a number with `K`, `M`, `G`, `T` or `%`, or `infinity`
    * `--user USER` - a user that exists, in the place of one that comes and goes with the service
    * `--no-hardening` - without the sandbox, to find out whether it is in the way
    * `--prefix DIR` - where the release is, by a link to `DIR-VERSION`; `/opt/RELEASE` by default
    * `--force` - overwrites without a question
  """
  use Mix.Task

  @switches [
    socket: :integer,
    versions: :boolean,
    low_port: :boolean,
    notify_reload: :boolean,
    drain: :integer,
    credential: :keep,
    distribution: :integer,
    memory: :string,
    user: :string,
    hardening: :boolean,
    prefix: :string,
    force: :boolean
  ]

  @impl true
  def run(args) do
    {switches, names} = OptionParser.parse!(args, strict: @switches)
    config = Mix.Project.config()
    {release, options} = release(names, config)
    versioned = version(options[:version] || config[:version]) ++ switches
    unit = :systemd_unit_file.options(release, :mix, versioned)
    problems = :systemd_unit_file.problems(unit)
    if problems != [], do: Mix.raise(Enum.join(problems, "; "))

    for {path, text} <- :systemd_unit_file.files(unit),
        do: Mix.Generator.create_file("#{path}", text, force: switches[:force] || false)

    Mix.shell().info(:systemd_unit_file.commands(unit))
  end

  # As Mix.Release finds it.
  defp release(names, config) do
    releases = releases(config)
    name = name(names, Enum.map(releases, &elem(&1, 0)), config[:default_release])
    {_, options} = List.keyfind(releases, name, 0)
    {name, if(is_function(options), do: options.(), else: options)}
  end

  defp releases(config) do
    case {config[:releases] || [], config[:app]} do
      {[], nil} -> Mix.raise("an umbrella needs releases: in mix.exs")
      {[], app} -> [{"#{app}", []}]
      {releases, _} -> for {name, options} <- releases, do: {"#{name}", options}
    end
  end

  defp name([name], names, _), do: known(name, names)
  defp name([], [name], _), do: name

  defp name([], names, nil) do
    names = Enum.join(names, ", ")
    Mix.raise("which release: #{names}? Name one, or set default_release in mix.exs")
  end

  defp name([], names, default), do: known("#{default}", names)
  defp name(_, _, _), do: Mix.raise("usage: mix systemd.gen.unit [RELEASE] [OPTIONS]")

  defp known(name, names) do
    if name not in names,
      do: Mix.raise("there is no release #{name} in mix.exs, but #{Enum.join(names, ", ")}")

    name
  end

  # Not `{:from_app, app}`, which only the release knows.
  defp version(version), do: if(is_binary(version), do: [version: version], else: [])
end
