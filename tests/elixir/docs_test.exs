defmodule DocsTest do
  @moduledoc "What `h` shows, and an editor: both modules have all of their functions documented, with the same words first."
  use ExUnit.Case

  # Name and arity to the documentation, `:hidden` or `:none`.
  defp functions(module) do
    {:docs_v1, _, _, _, %{"en" => _}, _, docs} = Code.fetch_docs(module)

    for {{:function, name, most}, _, _, doc, meta} <- docs,
        arity <- (most - Map.get(meta, :defaults, 0))..most,
        into: %{},
        do: {{name, arity}, doc}
  end

  test "each function of :systemd, and of Systemd" do
    for module <- [:systemd, Systemd, :systemd_journal_h, Systemd.Reload, Systemd.Check] do
      docs = functions(module)
      exported = module.module_info(:exports) -- [module_info: 0, module_info: 1, __info__: 1]

      for function <- exported,
          not String.starts_with?("#{elem(function, 0)}", ["MACRO-", "behaviour_info"]),
          do:
            assert(docs[function] not in [:none, nil], "#{inspect(module)}: #{inspect(function)}")
    end
  end

  test "Systemd has the functions of :systemd, each a delegate to it" do
    assert Enum.sort(Systemd.__info__(:functions)) ==
             Enum.sort(:systemd.module_info(:exports) -- [module_info: 0, module_info: 1])
  end

  test "what a function does is said in the same words by both" do
    erlang = functions(:systemd)

    for {function, %{"en" => text}} <- functions(Systemd),
        %{"en" => chunk} <- [erlang[function]] do
      [first | _] = String.split(text, ~r/\.(\s|$)/, parts: 2)

      assert List.starts_with?(words(plain(chunk)), words(first)) or
               plain(chunk) =~ ~r/^\s*Equivalent to/,
             inspect(function)
    end
  end

  # A `t:type/0` and a `module.function/1` are links in one of them, and not in the other.
  defp words(text),
    do: ~r/[A-Za-z_]{2,}/ |> Regex.scan(text) |> List.flatten() |> Enum.map(&String.downcase/1)

  defp plain(text) when is_binary(text), do: text
  defp plain({_tag, _attributes, content}), do: plain(content)
  defp plain(list), do: Enum.map_join(list, " ", &plain/1)
end
