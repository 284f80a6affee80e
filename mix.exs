defmodule Mix.Tasks.Compile.SystemdNif do
  @moduledoc false
  use Mix.Task.Compiler

  @script Path.join(__DIR__, "native/build.sh")

  @impl true
  def run(_args) do
    # Elsewhere there is no shell to run it, and nothing to build.
    if match?({:unix, _}, :os.type()) and Mix.shell().cmd(quoted(@script)) != 0,
      do: {:error, []},
      else: :ok
  end

  # For the shell, whatever is in the name of the folder.
  defp quoted(path), do: "'" <> String.replace(path, "'", "'\\''") <> "'"
end

defmodule Mix.Tasks.Compile.SystemdDocs do
  @moduledoc false
  use Mix.Task.Compiler

  @root __DIR__

  # For `h :systemd.ready` in IEx, and h(systemd, ready) in Erlang's shell. A package has them; the sources get them
  # where edoc is installed.
  @impl true
  def run(_args) do
    chunks = Path.join(@root, "doc/chunks")

    sources =
      for name <- ["systemd", "journal/systemd_journal_h", "sockets/systemd_cowboy_h"],
          do: "#{@root}/erlang/src/#{name}.erl"

    made = Enum.map(sources, &"#{chunks}/#{Path.basename(&1, ".erl")}.chunk")

    if Mix.Utils.stale?(sources, made) and edoc?() do
      options = [doclet: :edoc_doclet_chunks, layout: :edoc_layout_chunks, preprocess: true]

      :edoc.files(
        Enum.map(sources, &to_charlist/1),
        [dir: to_charlist("#{@root}/doc")] ++ options
      )
    end

    if File.dir?(chunks) do
      copies = Path.join(Mix.Project.app_path(), "doc/chunks")
      File.mkdir_p!(copies)
      File.cp_r!(chunks, copies)
    end

    :ok
  end

  # Mix 1.15 and later hide what is not among a project's applications.
  defp edoc? do
    for path <- Path.wildcard("#{:code.root_dir()}/lib/{edoc,syntax_tools,xmerl}-*/ebin"),
        do: Code.append_path(path)

    Code.ensure_loaded?(:edoc)
  end
end

defmodule Systemd.MixProject do
  use Mix.Project

  # The application's metadata has one place, which rebar3 reads too.
  @app_src Path.join(__DIR__, "erlang/systemd.app.src")
  @external_resource @app_src
  {:ok, [{:application, :systemd, properties}]} = :file.consult(@app_src)
  @properties properties

  # What native/package.sh puts into one.
  @package ~w(mix.exs rebar.config rebar.lock Cargo.toml Cargo.lock native erlang include elixir priv doc docs) ++
             ~w(README.md CHANGELOG.md LICENSE)

  def project do
    [
      app: :systemd,
      version: to_string(@properties[:vsn]),
      description: to_string(@properties[:description]),
      elixir: "~> 1.14",
      compilers: [:systemd_nif | Mix.compilers()] ++ [:systemd_docs],
      erlc_paths: ["erlang/src"],
      erlc_options: [:debug_info],
      elixirc_paths: ["elixir/lib"],
      test_paths: ["tests/elixir"],
      test_ignore_filters: ["tests/elixir/plug_router.ex", ~r"^tests/elixir/release/"],
      # Tests have protocols implemented.
      consolidate_protocols: Mix.env() != :test,
      package: [
        # The name `systemd` is another package's. The application's stays, as users of that one have it.
        name: "systemd_beam",
        licenses: Enum.map(@properties[:licenses], &to_string/1),
        links: Map.new(@properties[:links]),
        files: @package
      ],
      docs: docs(),
      aliases: for(task <- ["hex.build", "hex.publish"], do: {:"#{task}", [&in_package/1, task]}),
      deps: []
    ]
  end

  # A checkout has the native library of its machine, or none, and no documentation.
  defp in_package(_) do
    unless File.dir?("native/prebuilt"),
      do:
        Mix.raise("this is a checkout: run `make package`, and then this task in _build/package")
  end

  # For ExDoc, which a project has to bring along.
  defp docs do
    [
      main: "readme",
      extras: ["README.md", "CHANGELOG.md" | Path.wildcard("docs/*.md")],
      groups_for_extras: [Guides: ~r"docs/"]
    ]
  end

  def application do
    @properties
    |> Keyword.take([:mod, :env, :registered])
    # Logger first, where there is one: its handler is then there for `install_journal`.
    |> Keyword.put(:extra_applications, @properties[:applications] ++ [logger: :optional])
  end
end
