defmodule Systemd.Facade do
  @moduledoc false
  # Gives an Elixir module the types and functions of an Erlang module. Specs and documentation are written once, in the
  # Erlang source. This converts them to Elixir and Markdown.

  defmacro __using__(source) do
    path = Path.expand("../../../erlang/src/#{source}", __DIR__)
    module = path |> Path.basename(".erl") |> String.to_atom()
    {:ok, forms} = :epp.parse_file(to_charlist(path), [])
    lines = path |> File.read!() |> String.split("\n")

    types =
      for {:attribute, line, :type, type} <- forms do
        quote do
          @typedoc unquote(lines |> below(line) |> markdown())
          @type unquote(type |> Code.Typespec.type_to_quoted() |> typespec())
        end
      end

    functions =
      for {:attribute, line, :spec, {{name, arity}, specs}} <- forms,
          doc = above(lines, line),
          "%% @private" not in doc do
        specs = for spec <- specs, do: name |> Code.Typespec.spec_to_quoted(spec) |> typespec()

        quote do
          @doc unquote(markdown(doc))
          unquote_splicing(for spec <- specs, do: quote(do: @spec(unquote(spec))))

          defdelegate unquote(name)(unquote_splicing(args(forms, name, arity))),
            to: unquote(module)
        end
      end

    quote do
      @external_resource unquote(path)
      unless Module.get_attribute(__MODULE__, :moduledoc),
        do: @moduledoc(unquote(lines |> Enum.take_while(&comment?/1) |> markdown()))

      unquote_splicing(types ++ functions)
    end
  end

  # edoc reads the comments above a function, and below a type.
  defp above(lines, line) do
    before = lines |> Enum.take(line - 1) |> Enum.reverse() |> Enum.take_while(&comment?/1)
    Enum.reverse(before)
  end

  defp below(lines, line),
    do: lines |> Enum.drop(line) |> Enum.take_while(&(&1 != "")) |> Enum.filter(&comment?/1)

  defp comment?(line), do: String.starts_with?(line, "%%")

  # Erlang's string() is a charlist.
  defp typespec(quoted),
    do: Macro.postwalk(quoted, &with({:string, meta, []} <- &1, do: {:charlist, meta, []}))

  # The names of the last clause's arguments.
  defp args(forms, name, arity) do
    [clauses] = for {:function, _, ^name, ^arity, clauses} <- forms, do: clauses
    {:clause, _, args, _, _} = List.last(clauses)
    Enum.map(args, fn {:var, _, name} -> variable(name) end)
  end

  # Converts edoc to Markdown, and code to Elixir if possible.
  defp markdown(comments) do
    comments
    |> Enum.map_join("\n", &String.replace(&1, ~r/^%% ?(@doc )?/, ""))
    |> form(~r/^@equiv (.*)$/m, &"Equivalent to `#{&1}'.")
    |> form(~r/<\/?(?:ul|table)>\n?()/, &"\n#{&1}")
    |> form(~r/<li>(.*?)<\/li>/s, &("  * " <> String.replace(&1, "\n", "\n    ")))
    |> form(~r/(<t[dh]>.*?)<\/tr>/s, &String.replace(&1, "\n", " "))
    |> form(~r/<tr><th>(.*)<\/th>/, &"| #{Regex.replace(~r/<.*>/, &1, " | ")} |\n| --- | --- |")
    |> form(~r/<tr><td>(.*?)<\/td>$/m, &"| #{Regex.replace(~r/<.*>/, &1, " | ")} |")
    |> form(~r/\{@link ([a-z_]+)\(\)\}/, &"`t:#{&1}/0'")
    |> form(~r/\{@link ([a-z_\/0-9]+)\}/, &"`#{&1}'")
    |> form(~r/```(\n.*?\n)'''/s, &"\n#{String.replace(code(String.trim(&1)), ~r/^/m, "    ")}\n")
    |> form(~r/`([^`]+?)'/s, &"`#{code(&1)}`")
  end

  defp form(text, regex, to), do: Regex.replace(regex, text, fn _, found -> to.(found) end)

  # Settings of units, names of variables and links stay as they are, and so does what is not Erlang.
  defp code(text) do
    cond do
      text =~ ~r/^[A-Z]\w*[A-Z]\w*$|[A-Za-z]=|^t:|^[a-z_]+\/\d$/ -> text
      text =~ ~r/^[a-z_]+:[a-z_]+\/\d$/ -> ":" <> String.replace(text, ":", ".")
      true -> text |> String.trim_trailing(".") |> translated() || text
    end
  end

  defp translated(erlang) do
    with {:ok, tokens, _} <- :erl_scan.string(to_charlist(erlang <> ".")),
         {:ok, exprs} <- :erl_parse.parse_exprs(tokens) do
      Enum.map_join(exprs, "\n", &(&1 |> quoted() |> Macro.to_string()))
    else
      _ -> nil
    end
  rescue
    FunctionClauseError -> nil
  end

  defp quoted({literal, _, value}) when literal in [:atom, :integer, :float], do: value
  defp quoted({:string, _, chars}), do: to_string(chars)
  defp quoted({:var, _, name}), do: variable(name)
  defp quoted({:tuple, _, [left, right]}), do: {quoted(left), quoted(right)}
  defp quoted({:tuple, _, elements}), do: {:{}, [], all(elements)}
  defp quoted({nil, _}), do: []
  defp quoted({:cons, _, head, tail}), do: [quoted(head) | quoted(tail)]
  defp quoted({:match, _, left, right}), do: {:=, [], all([left, right])}
  defp quoted({:op, _, :++, left, right}), do: {:++, [], all([left, right])}
  defp quoted({:call, _, {:atom, _, function}, args}), do: {function, [], all(args)}

  defp quoted({:fun, _, {:clauses, [{:clause, _, [], [], [body]}]}}),
    do: {:fn, [], [{:->, [], [[], quoted(body)]}]}

  defp quoted({:call, _, {:remote, _, {:atom, _, module}, {:atom, _, function}}, args}) do
    module = if module == :systemd, do: {:__aliases__, [], [:Systemd]}, else: module
    {{:., [], [module, function]}, [], all(args)}
  end

  defp all(terms), do: Enum.map(terms, &quoted/1)

  defp variable(name),
    do: name |> to_string() |> Macro.underscore() |> String.to_atom() |> Macro.var(nil)
end
