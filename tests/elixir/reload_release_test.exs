defmodule Systemd.ReloadReleaseTest do
  @moduledoc "Systemd.Reload in releases that are built and booted: those of release/."
  use ExUnit.Case

  @project Path.expand("release", __DIR__)
  @releases ["plain", "rebooted", "pruned"]

  setup_all do
    for release <- @releases do
      options = [cd: @project, env: [{"MIX_ENV", "prod"}], stderr_to_stdout: true]
      {output, status} = System.cmd("mix", ["release", release, "--overwrite"], options)
      assert status == 0, output
    end

    :ok
  end

  setup do
    folder = Path.join(System.tmp_dir!(), "reload-#{System.pid()}")
    File.mkdir_p!(folder)
    on_exit(fn -> File.rm_rf!(folder) end)
    {:ok, folder: folder}
  end

  for release <- @releases do
    test "#{release}: reloads, tells, and changes nothing on the disk", %{folder: folder} do
      root = Path.join([@project, "_build/prod/rel", unquote(release)])
      before = files(root)

      new = {:error, :error, [deep: [static: 1, runtime: 2], port: 4001, provided: "2"]}

      assert said(root, unquote(release), folder) == [
               {:ok, "nothing has changed"},
               {:info, :info, [deep: [static: 0], provided: "1"]},
               {:config_change, [deep: [static: 1, runtime: 2], provided: "2"], [port: 4001], []},
               {:ok, "changed logger: level; probe: deep, port, provided"},
               new,
               {:raised, "broken"},
               new
             ]

      assert files(root) == before
    end
  end

  defp said(root, release, folder) do
    runtime = Path.join(folder, "runtime")
    provided = Path.join(folder, "provided")
    File.write!(runtime, "[probe: [deep: [static: 0]]]")
    File.write!(provided, "1")

    {output, 0} =
      System.cmd(Path.join([root, "bin", release]), ["eval", "Probe.run()"],
        env: [
          {"PROBE_RUNTIME", runtime},
          {"PROBE_PROVIDED", provided},
          {"RELEASE_TMP", folder},
          # No epmd, which would stay behind.
          {"RELEASE_DISTRIBUTION", "none"}
        ]
      )

    for "said: " <> term <- String.split(output, "\n"), do: term |> Code.eval_string() |> elem(0)
  end

  defp files(root) do
    for path <- Path.wildcard(Path.join(root, "releases/**")), File.regular?(path), into: %{} do
      {path, File.read!(path)}
    end
  end
end
