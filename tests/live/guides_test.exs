defmodule GuidesTest do
  @moduledoc "The units in README.md and docs, and the guide to Cowboy, run."
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

  test "docs/cowboy.md: served on a socket of systemd, drained" do
    for name <- ["cowboy", "cowlib", "ranch"],
        [ebin] = Path.wildcard("#{Lab.rabbitmq()}/plugins/#{name}-*/ebin"),
        do: Lab.copy(ebin, "/srv/cowboy/#{name}")

    blocks = Guide.blocks("docs/cowboy.md")

    for %{name: "src/" <> file, text: text} <- blocks do
      path = Path.join(System.tmp_dir!(), file)
      File.write!(path, text)
      File.mkdir_p!(Lab.path("/srv/cowboy/guide"))
      {"", 0} = System.cmd("erlc", ["-o", Lab.path("/srv/cowboy/guide"), path])
      File.rm!(path)
    end

    code = [
      "/srv/systemd/ebin" | for(name <- ~w(cowboy cowlib ranch guide), do: "/srv/cowboy/#{name}")
    ]

    Lab.write_socket("cowboy", ["ListenStream=8088", "FileDescriptorName=http"])
    unit = Lab.write_service("cowboy", [:ready], code: code)
    Lab.systemctl!(["start", "cowboy.socket", unit])

    [listen] = for %{language: "erlang", text: "{ok, Port" <> _ = text} <- blocks, do: text
    {:ok, _} = Lab.eval(unit, "application:ensure_all_started(cowboy)")
    Lab.eval(unit, String.trim_trailing(listen, ".\n"))
    assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(8088, "/")

    drain =
      "{ok, Pid} = my_drainer:start_link(), unlink(Pid), ok = gen_server:stop(Pid), ranch:get_status(http)"

    assert Lab.eval(unit, drain) == :suspended
  end
end
