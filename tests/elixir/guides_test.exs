defmodule GuidesTest do
  @moduledoc """
  Each code block of README.md and docs is compiled, and calls what there is; configuration is read; commands are parsed,
  and those of `mix systemd.gen.unit` run. Units are for tests/live, and the project of docs/erlang.md for tests/package.
  """
  use ExUnit.Case
  import ExUnit.CaptureIO

  # Of other packages, and of who reads.
  @foreign ~w(Bandit Hello MyApp Phoenix Plug cowboy greet my_ ranch)

  for {block, n} <- Enum.with_index(Guide.blocks()),
      block.language in ~w(elixir erlang console) do
    @block Macro.escape(block)
    @tag :tmp_dir
    test "#{block.file}:#{block.line}, #{n}", %{tmp_dir: dir} do
      block = unquote(@block)
      apply(__MODULE__, String.to_existing_atom(block.language), [block, dir])
    end
  end

  test "nothing else is taken for code" do
    languages = Guide.blocks() |> Enum.map(& &1.language) |> Enum.uniq()
    assert languages -- ~w(elixir erlang console ini text) == []
  end

  test "README.md links to each guide" do
    readme = File.read!("README.md")
    for path <- Path.wildcard("docs/*.md"), do: assert(readme =~ "(#{path})")
  end

  test "what README.md has make do is in the Makefile" do
    targets =
      for [_, target] <- Regex.scan(~r/^ +make ([\w-]+) /m, File.read!("README.md")), do: target

    assert length(targets) > 5
    makefile = File.read!("Makefile")
    for target <- targets, do: assert(makefile =~ ~r/^#{target}:/m)
  end

  test "docs/reference.md has every config key, and every environment variable that is read" do
    reference = File.read!("docs/reference.md")

    # As many rows as keys, in their order.
    rows = Regex.scan(~r/^\| `([a-z_]+)` \| ([^|]*) \| ([^|]*) \| /m, reference)

    for {[_, key, default, what], {name, value, fits, _}} <-
          Enum.zip(rows, :systemd_config.keys()) do
      assert key == to_string(name)
      assert String.replace(what, "`", "") == to_string(fits)
      unless value == :undefined, do: assert(default == "`#{inspect(value)}`")
    end

    assert length(rows) == length(:systemd_config.keys())

    variables =
      found(
        ~r/"([A-Z]+_[A-Z_]+|FDSTORE)"/,
        "{systemd_env,systemd_main_pid,systemd_memory_pressure}"
      )

    variables = variables ++ found(~r/getenv\("([A-Z_]+)"/, "*")
    assert [] == ~w(NOTIFY_SOCKET JOURNAL_STREAM FDSTORE) -- variables

    for name <- variables, do: assert(reference =~ "`#{name}`")
  end

  defp found(regex, sources) do
    for path <- Path.wildcard("erlang/src/**/#{sources}.erl"),
        match <- Regex.scan(regex, File.read!(path), capture: :all_but_first),
        do: List.last(match)
  end

  ## Elixir

  def elixir(block, dir) do
    quoted = Code.string_to_quoted!(block.text, file: block.file, line: block.line)

    case if(block.text =~ ~r/\bconfig :/, do: :config, else: kind(quoted)) do
      :config ->
        block.text |> read(dir) |> checked()

      :dependency ->
        :ok

      :module ->
        quoted |> compiled() |> Enum.each(&called/1)

      :definitions ->
        quoted |> in_module() |> compiled() |> Enum.each(&called/1)

      :plug ->
        quote(
          do:
            (
              import(Plug.Router)
              unquote(quoted)
            )
        )
        |> in_module()
        |> compiled()

      :expressions ->
        quoted |> in_function() |> compiled() |> Enum.each(&called/1)
    end
  end

  defp kind({:__block__, _, [first | _]}), do: kind(first)
  defp kind({:defmodule, _, _}), do: :module
  defp kind({:def, _, _}), do: :definitions
  defp kind({:plug, _, _}), do: :plug
  defp kind({:systemd, _}), do: :dependency
  defp kind(_), do: :expressions

  # Where there are the credentials that it asks for.
  defp read(text, dir) do
    for name <- ["database_password", "database_url", "secret_key_base"],
        do: File.write!("#{dir}/#{name}", "secret")

    System.put_env("CREDENTIALS_DIRECTORY", dir)
    on_exit(fn -> System.delete_env("CREDENTIALS_DIRECTORY") end)
    path = Path.join(dir, "config.exs")
    File.write!(path, if(text =~ "import Config", do: text, else: "import Config\n" <> text))
    config = Config.Reader.read!(path, env: :prod)
    assert config != []
    config
  end

  defp in_module(definitions) do
    quote do
      defmodule unquote(:"Elixir.GuidesTest.Block#{System.unique_integer([:positive])}") do
        require Logger
        def children, do: []
        unquote(definitions)
      end
    end
  end

  # What a block takes from elsewhere is an argument.
  defp in_function(expressions) do
    {_, names} =
      Macro.prewalk(expressions, MapSet.new(), fn
        {name, _, nil} = variable, names -> {variable, MapSet.put(names, name)}
        other, names -> {other, names}
      end)

    variables = for name <- names, do: {name, [], nil}
    in_module(quote(do: def(run(unquote_splicing(variables)), do: unquote(expressions))))
  end

  # Warnings are of what isn't there.
  defp compiled(quoted) do
    {modules, _} = with_io(:stderr, fn -> Code.compile_quoted(quoted) end)

    for {module, beam} <- modules do
      :code.purge(module)
      :code.delete(module)
      beam
    end
  end

  ## Erlang

  def erlang(block, dir) do
    if block.text =~ ~r/^-module/ do
      [_, name] = Regex.run(~r/^-module\((\w+)\)/, block.text)
      path = Path.join(dir, name <> ".erl")
      File.write!(path, block.text)
      assert {:ok, _, beam, []} = :compile.file(to_charlist(path), [:binary, :return])
      called(beam)
    else
      forms = dotted(block.text)

      case Enum.map(forms, &:erl_parse.parse_term/1) do
        [{:ok, _} | _] = terms -> Enum.each(terms, fn {:ok, term} -> checked(term) end)
        _ -> for form <- forms, do: called(erlang_function(form))
      end
    end
  end

  # The tokens of each form. A block may end within one.
  defp dotted(text) do
    {:ok, tokens, _} = :erl_scan.string(to_charlist(text))

    Enum.chunk_while(
      tokens,
      [],
      fn
        {:dot, _} = dot, form -> {:cont, Enum.reverse([dot | form]), []}
        token, form -> {:cont, [token | form]}
      end,
      fn
        [] -> {:cont, []}
        [{:",", line} | form] -> {:cont, Enum.reverse([{:dot, line} | form]), []}
        [token | _] = form -> {:cont, Enum.reverse([{:dot, elem(token, 1)} | form]), []}
      end
    )
  end

  defp erlang_function(tokens) do
    assert {:ok, expressions} = :erl_parse.parse_exprs(tokens)
    variables = for {:var, _, name} <- tokens, name != :_, uniq: true, do: {:var, 1, name}
    clause = {:clause, 1, variables, [], expressions}

    forms = [
      {:attribute, 1, :module, :guides_block},
      {:attribute, 1, :export, [{:run, length(variables)}]},
      {:function, 1, :run, length(variables), [clause]}
    ]

    assert {:ok, _, beam, _} = :compile.forms(forms, [:return])
    beam
  end

  ## Both

  # Functions of what is here are there.
  defp called(beam) do
    {:ok, {_, imports: imports}} = :beam_lib.chunks(beam, [:imports])

    for {module, function, arity} <- imports do
      case Code.ensure_loaded(module) do
        {:module, _} ->
          assert function_exported?(module, function, arity) or
                   :erlang.is_builtin(module, function, arity),
                 "#{inspect(module)}.#{function}/#{arity}"

        _ ->
          assert String.starts_with?(String.replace_prefix("#{module}", "Elixir.", ""), @foreign),
                 inspect(module)
      end
    end
  end

  # Keys and values of ours.
  defp checked(config) when is_list(config) do
    for {:systemd, keys} <- config,
        is_list(keys),
        do: assert(:systemd_config.problems(keys) == [])
  end

  defp checked(_), do: :ok

  ## Commands

  def console(block, dir) do
    commands = for [_, command] <- Regex.scan(~r/^[$#] (.*)$/m, block.text), do: command
    assert commands != []
    script = Path.join(dir, "script")
    File.write!(script, Enum.join(commands, "\n") <> "\n")
    assert {"", 0} = System.cmd("bash", ["-n", script], stderr_to_stdout: true)

    for "mix systemd.gen.unit" <> rest <- commands do
      SomeProject.run(dir, [app: :my_app, version: "1.0.0"], fn ->
        capture_io(fn ->
          Mix.Tasks.Systemd.Gen.Unit.run(["--force" | OptionParser.split(rest)])
        end)
      end)

      assert [_] = Path.wildcard("#{dir}/rel/systemd/my_app*.service")
    end
  end
end
