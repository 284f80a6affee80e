defmodule StdoutTest do
  @moduledoc "systemd_kmsg_formatter: what journald makes of lines that come by standard output and error."
  use ExUnit.Case, async: true

  defp entries(unit, matches \\ []) do
    matches = ["_TRANSPORT=stdout" | matches]
    for line <- String.split(Lab.entries(unit, "json", matches), "\n", trim: true), do: line
  end

  defp await_line(unit, text),
    do: Lab.await(text, fn -> Enum.any?(entries(unit), &(&1 =~ text)) end)

  test "no byte of a message forges a line, or a level" do
    unit = Lab.start_service("forged", [:ready])

    for text <- [~S(user \0<0>kernel panic), ~S(user\r<0>kernel panic), ~S(user\n<0>kernel panic)],
        do: assert(:ok = Lab.eval(unit, ~s|logger:error("~s", ["#{text}"])|))

    assert :ok = Lab.eval(unit, ~S|logger:error("the last")|)
    await_line(unit, "the last")
    assert entries(unit, ["PRIORITY=0"]) == []
    assert length(Enum.filter(entries(unit, ["PRIORITY=3"]), &(&1 =~ "kernel panic"))) >= 1
  end

  # Without a locale, which is what a unit has by itself, the VM writes \x{1F30D}.
  for {encoding, character} <- [unicode: "🌍", latin1: "\\x{1F30D}"] do
    test "#{encoding}: each part of a line longer than LineMax= has its level, and nothing is missing" do
      unit = Lab.start_service("long-#{unquote(encoding)}", [:ready])

      assert :ok =
               Lab.eval(unit, """
               ok = io:setopts(user, [{encoding, #{unquote(encoding)}}]),
               logger:error("begin~ts end", [lists:duplicate(50000, [$a, 16#1F30D])])
               """)

      await_line(unit, " end")
      assert Enum.filter(entries(unit), &(&1 =~ "_LINE_BREAK")) |> length() == 0
      text = Lab.entries(unit, "cat", ["_TRANSPORT=stdout", "PRIORITY=3"])
      [_, from_begin] = String.split(text, "begin", parts: 2)
      [sent, _] = String.split(from_begin, " end", parts: 2)

      assert String.replace(sent, "\n", "") ==
               String.duplicate("a" <> unquote(character), 50_000)
    end
  end

  test "text that is no UTF-8 keeps its level" do
    unit = Lab.start_service("no-utf8", [:ready])

    assert :ok =
             Lab.eval(unit, """
             ok = io:setopts(user, [{encoding, unicode}]),
             Formatter = {systemd_kmsg_formatter, \#{parent => live_latin1}},
             ok = logger:set_handler_config(default, formatter, Formatter),
             logger:error("x")
             """)

    Lab.await("the line", fn -> Lab.entries(unit, "cat", ["PRIORITY=3"]) =~ "gr�n" end)
  end

  for {name, out, error} <- [
        {"console-error", "journal", "journal+console"},
        {"console-output", "journal+console", "journal"}
      ] do
    test "StandardOutput=#{out} with StandardError=#{error}: both are the journal, and have levels" do
      streams = ["StandardOutput=#{unquote(out)}", "StandardError=#{unquote(error)}"]
      unit = Lab.start_service(unquote(name), [:ready], service: streams)

      assert Lab.eval(unit, "[systemd:is_journal(D) || D <- [standard_io, standard_error]]") ==
               [true, true]

      assert :ok =
               Lab.eval(unit, """
               ok = logger:add_handler(err, logger_std_h, \#{config => \#{type => standard_error}}),
               systemd_logger:install(),
               logger:error("the line")
               """)

      Lab.await("both lines", fn ->
        length(Enum.filter(entries(unit, ["PRIORITY=3"]), &(&1 =~ "the line"))) == 2
      end)
    end
  end
end
