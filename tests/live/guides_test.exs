defmodule GuidesTest do
  @moduledoc "The units in README.md and docs."
  use ExUnit.Case, async: true

  # What this manager is too old for.
  @newer_than_252 ~w(MemoryPressureWatch MemoryPressureThresholdSec notify-reload)

  for {block, n} <- Enum.with_index(Guide.blocks()), block.language == "ini" do
    @block Macro.escape(block)
    test "#{block.file}:#{block.line}, #{n}: systemd-analyze verify" do
      {name, text} = unit(unquote(@block).text)
      path = "/run/#{name}"
      File.write!(Lab.path(path), text)
      {output, _} = Lab.run("systemd-analyze", ["verify", path])
      assert complaints(output) == []
    end
  end

  # A whole one, of what a guide shows of it.
  defp unit(text) do
    sections = if text =~ ~r/^\[/m, do: text, else: "[Service]\n" <> text
    name = "guide-#{System.unique_integer([:positive])}"

    cond do
      sections =~ "[Socket]" ->
        File.write!(Lab.path("/run/#{name}.service"), "[Service]\nExecStart=/bin/true\n")
        {name <> ".socket", sections}

      sections =~ "ExecStart=" ->
        {name <> ".service", String.replace(sections, ~r/^ExecStart=.*$/m, "ExecStart=/bin/true")}

      true ->
        {name <> ".service",
         String.replace(sections, "[Service]", "[Service]\nExecStart=/bin/true")}
    end
  end

  defp complaints(output) do
    lines = String.split(output, "\n", trim: true)

    if Lab.systemd_version() < 253,
      do: Enum.reject(lines, &String.contains?(&1, @newer_than_252)),
      else: lines
  end
end
