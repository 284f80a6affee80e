defmodule Guide do
  @moduledoc "The code blocks of README.md and docs."

  @project Path.expand("../../..", __DIR__)

  @doc """
  The blocks of a file, or of all: `%{file:, line:, language:, text:, name:}`.

  A block has a name where the paragraph in front of it is a path alone, between backquotes and with a colon.
  """
  def blocks do
    docs =
      for path <- Path.wildcard("#{@project}/docs/*.md"), do: Path.relative_to(path, @project)

    Enum.flat_map(["README.md" | docs], &blocks/1)
  end

  def blocks(file) do
    lines =
      @project |> Path.join(file) |> File.read!() |> String.split("\n") |> Enum.with_index(1)

    blocks(lines, file, nil, [])
  end

  defp blocks([], _, _, found), do: Enum.reverse(found)

  defp blocks([{line, number} | rest], file, name, found) do
    case Regex.run(~r/^( *)```(\w*)$/, line) do
      [_, indent, language] ->
        {text, [_ | rest]} =
          Enum.split_while(rest, fn {line, _} -> String.trim(line) != "```" end)

        text =
          Enum.map_join(text, fn {line, _} -> String.replace_prefix(line, indent, "") <> "\n" end)

        block = %{file: file, line: number, language: language, text: text, name: name}
        blocks(rest, file, nil, [block | found])

      nil ->
        blocks(rest, file, name(line, name), found)
    end
  end

  defp name("", name), do: name

  defp name(line, _) do
    case Regex.run(~r/^`([\w.\/]+)`:$/, line) do
      [_, name] -> name
      nil -> nil
    end
  end
end
