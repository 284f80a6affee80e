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
          # From OTP 27 on edoc leaves out what is private.
          do:
            assert(
              Map.get(docs, function, :hidden) != :none,
              "#{inspect(module)}: #{inspect(function)}"
            )
    end
  end

  test "Systemd has the functions of :systemd, each a delegate to it" do
    assert Enum.sort(Systemd.__info__(:functions)) ==
             Enum.sort(:systemd.module_info(:exports) -- [module_info: 0, module_info: 1])
  end

  # Its documentation is made of Erlang's source, and the chunk is edoc's.
  test "what a function does is said in the same words by both" do
    erlang = functions(:systemd)

    for {function, %{"en" => text}} <- functions(Systemd), not (text =~ ~r/^Equivalent to/) do
      assert {function, words(plain(erlang[function]["en"]))} == {function, words(text)}
    end
  end

  test "code in it is Elixir's" do
    %{{:listen_opts, 2} => %{"en" => text}, {:watchdog, 1} => %{"en" => watchdog}} =
      functions(Systemd)

    assert text =~
             "\n\n    {:ok, port, options} = Systemd.listen_opts(:http, 4000)\n    {:ok, socket} = :gen_tcp.listen(port, "

    assert watchdog =~ "\n  * `:ping`: sends one `WATCHDOG=1` by hand.\n"
  end

  # A `t:type/0` and a `module.function/1` are links in one of them, and not in the other.
  defp words(text),
    do:
      (~r/[A-Za-z_]{2,}/ |> Regex.scan(text) |> List.flatten() |> Enum.map(&String.downcase/1)) --
        ~w(fun fn)

  defp plain(text) when is_binary(text), do: text
  defp plain({_tag, _attributes, content}), do: plain(content)
  defp plain(list), do: Enum.map_join(list, " ", &plain/1)
end
