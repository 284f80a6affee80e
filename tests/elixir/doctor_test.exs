defmodule DoctorTest do
  use ExUnit.Case
  import ExUnit.CaptureIO

  # What the task prints, and the exit status that Mix makes of it.
  defp doctor(args) do
    Mix.Task.reenable("systemd.doctor")

    with_io(fn ->
      try do
        Mix.Task.run("systemd.doctor", args)
        0
      catch
        :exit, {:shutdown, status} -> status
      end
    end)
  end

  defp unit(lines) do
    file = Path.join(System.tmp_dir!(), "#{System.pid()}.service")
    File.write!(file, "[Service]\n" <> lines)
    on_exit(fn -> File.rm(file) end)
    file
  end

  test "the project alone" do
    assert doctor([]) == {0, "nothing is wrong\n"}
  end

  test "a unit file in which nothing is wrong" do
    file = unit("Type=notify\nLimitNOFILE=65536\nExecStart=/opt/my_app \\\n  start\n")
    assert {0, output} = doctor([file])

    assert output ==
             "notice: no WatchdogSec=: a VM that hangs is not restarted\nnothing is wrong\n"
  end

  test "the units that there are" do
    for folder <- ["systemd", "rel/systemd"] do
      file = Path.expand("../../examples/hello/#{folder}/hello.service", __DIR__)
      assert {0, output} = doctor([file])
      assert output =~ ~r/\nnothing is wrong\n\z/
    end

    units = for %{language: "ini", text: "[Service]\n" <> lines} <- Guide.blocks(), do: lines
    assert length(units) >= 4
    for lines <- units, do: assert({0, _} = doctor([unit("Type=notify\n" <> lines)]))
  end

  test "one in which something is" do
    assert {1, output} = doctor([unit("KillMode=process\nWatchdogSec=5s\n")])
    assert output =~ ~r/^error: Type=simple: .* Set Type=notify$/m
    assert output =~ ~r/^warning: WatchdogSec= with Restart=no: .* Set Restart=on-failure$/m
    assert output =~ ~r/^warning: KillMode=process /m
    assert output =~ ~r/^notice: no config key watchdog_check/m
    refute output =~ "nothing is wrong"
  end

  test "what public unit files have" do
    file =
      unit("""
      Type=forking
      PIDFile=/run/my_app.pid
      EnvironmentFile=-/etc/my_app/env
      ExecStart=/home/deploy/my_app/bin/my_app daemon
      ExecStartPost=/bin/sh -c 'until curl -sf localhost:4000; do sleep 1; done'
      ExecStop=/home/deploy/my_app/bin/my_app stop
      ExecReload=/home/deploy/my_app/bin/my_app restart
      Restart=always
      RemainAfterExit=yes
      ProtectHome=yes
      SuccessExitStatus=143
      """)

    assert {1, output} = doctor([file])

    assert for(line <- String.split(output, "\n"), do: line |> String.split(~r/[ :]/) |> hd())
           |> Enum.frequencies() == %{"error" => 3, "warning" => 3, "notice" => 5, "" => 1}
  end

  test "the configuration" do
    Application.put_env(:systemd, :watchdog_scale, 1)
    Application.put_env(:systemd, :wacthdog_check, {MyApp, :well?, []})

    on_exit(fn ->
      Application.put_env(:systemd, :watchdog_scale, 10)
      Application.delete_env(:systemd, :wacthdog_check)
    end)

    assert {1, output} = doctor([])

    assert output =~
             "error: config key watchdog_scale is 1, but must be an integer from 2 to 1000\n"

    assert output =~ "error: unknown config key wacthdog_check\n"
  end

  test "no unit file" do
    assert_raise Mix.Error, ~r/missing: no such file/, fn -> doctor(["missing"]) end
    assert_raise Mix.Error, ~r/no section \[Service\]/, fn -> doctor([__ENV__.file]) end
    assert_raise Mix.Error, ~r/usage/, fn -> doctor(["a", "b"]) end
  end

  test "Systemd.doctor outside of systemd" do
    assert {:ok, output} = with_io(&Systemd.doctor/0)
    assert output =~ ~r/^unit +false$/m
    assert output =~ ~r/^pid +#{System.pid()}$/m
    assert output =~ "notice: not under systemd"
  end
end
