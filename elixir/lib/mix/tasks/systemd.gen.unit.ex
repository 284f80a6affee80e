defmodule Mix.Tasks.Systemd.Gen.Unit do
  @shortdoc "Writes the systemd units of the project's release"
  @moduledoc """
  Writes `rel/systemd/NAME.service` for the project's release, and prints the commands that install it.

      mix systemd.gen.unit
      mix systemd.gen.unit --socket 80
      mix systemd.gen.unit my_release --user my_app --memory 2G

  Comments in the unit explain its lines. The service runs in a sandbox. The task asks before it overwrites a file.

  ## Options

    * `--socket PORT` - also write `NAME.socket`: systemd holds this port while the service is down or restarts. The
      service gets the socket by `Systemd.listen_opts("http", 4000)`
    * `--versions` - with `--socket`: a unit for each version, `NAME@VERSION.service`, and the script `deploy`. It
      starts a new version beside the running one, which it stops when the new one is ready
    * `--user-unit` - units for `systemctl --user`, see docs/user_manager.md. The release is in
      `~/.local/lib/RELEASE` then, and secrets are in `~/.config/RELEASE`
    * `--systemd VERSION` - the version of the server's systemd, 252 by default. From 257 on, `/tmp` is in memory.
      From 258 on, the delay between failed starts grows from 2 s to 1 min, and the BPF programs and maps of other
      services are hidden
    * `--low-port` - the service may bind ports below 1024 itself, without a socket unit
    * `--notify-reload` - `Type=notify-reload`, which needs systemd 253 or later
    * `--drain SECONDS` - the drainer's limit, 30 by default
    * `--credential NAME` - a secret, in the file `/etc/RELEASE/NAME`. Repeat it for each secret
    * `--distribution PORT` - Erlang distribution on this machine, for `rpc` and `remote`, at this port, without epmd.
      The cookie is in `/etc/RELEASE/cookie`. The release's script puts it on the VM's command line, which other
      users of the machine may see
    * `--memory SIZE` - `MemoryMax=`: bytes, a number with `K`, `M`, `G`, `T` or `%`, or `infinity`
    * `--user USER` - an existing user to run as. By default, the user exists only while the service runs
    * `--no-hardening` - without the sandbox, to find out whether it causes a problem
    * `--prefix DIR` - where the release is, as a link to `DIR-VERSION`; `/opt/RELEASE` by default
    * `--force` - overwrite files without asking
  """
  use Mix.Task

  @switches [
    socket: :integer,
    versions: :boolean,
    user_unit: :boolean,
    systemd: :integer,
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
