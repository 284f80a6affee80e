defmodule Mix.Tasks.Compile.SystemdNif do
  @moduledoc false
  use Mix.Task.Compiler

  @script Path.join(__DIR__, "native/build.sh")

  @impl true
  def run(_args) do
    # Other systems have no shell for the script, and nothing to build.
    if match?({:unix, _}, :os.type()) and Mix.shell().cmd(quoted(@script)) != 0,
      do: {:error, []},
      else: :ok
  end

  # Quotes the path for the shell.
  defp quoted(path), do: "'" <> String.replace(path, "'", "'\\''") <> "'"
end

defmodule Mix.Tasks.Compile.SystemdDocs do
  @moduledoc false
  use Mix.Task.Compiler

  @root __DIR__

  # For `h :systemd.ready` in IEx, and h(systemd, ready) in Erlang's shell. A package contains the chunks. In a checkout
  # they are made if edoc is installed.
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

  # Mix 1.15 and later hide modules of applications that the project does not name.
  defp edoc? do
    for path <- Path.wildcard("#{:code.root_dir()}/lib/{edoc,syntax_tools,xmerl}-*/ebin"),
        do: Code.append_path(path)

    Code.ensure_loaded?(:edoc)
  end
end

defmodule Systemd.MixProject do
  use Mix.Project

  # The application's metadata is only in this file, which rebar3 also reads.
  @app_src Path.join(__DIR__, "erlang/systemd.app.src")
  @external_resource @app_src
  {:ok, [{:application, :systemd, properties}]} = :file.consult(@app_src)
  @properties properties

  # The files that native/package.sh puts into a package.
  @package ~w(mix.exs rebar.config rebar.lock Cargo.toml Cargo.lock native erlang include elixir priv doc docs) ++
             ~w(README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE)

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
      test_ignore_filters: [~r"^tests/elixir/\w+\.ex$", ~r"^tests/elixir/release/"],
      # Tests implement protocols.
      consolidate_protocols: Mix.env() != :test,
      package: [
        # Another package has the name `systemd`. The application keeps it, so that users of that package need no
        # change.
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

  # A checkout has no documentation, and at most the native library for its own machine.
  defp in_package(_) do
    unless File.dir?("native/prebuilt"),
      do:
        Mix.raise("this is a checkout: run `make package`, and then this task in _build/package")
  end

  # For ExDoc, if a project has it.
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
    # If Logger is there, it starts first, so that `install_journal` finds its handler.
    |> Keyword.put(:extra_applications, @properties[:applications] ++ [logger: :optional])
  end
end
