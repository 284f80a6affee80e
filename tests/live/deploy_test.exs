defmodule DeployTest do
  @moduledoc "Versions of examples/hello side by side, by `mix systemd.gen.unit --socket 4110 --versions`."
  use ExUnit.Case

  @clients 16
  # They leave some of the machine to the versions that start. Without a pause nothing is lost either.
  @load [pause: 10]
  @deploys 10
  @units "/etc/lab/units"
  @socket "overlap.socket"

  setup_all do
    for {file, text} <- GeneratedUnit.files("overlap", socket: 4110, versions: true) do
      if file == "deploy" do
        # The lab has the units of the tests in a folder of its own.
        script = String.replace(text, "/etc/systemd/system", @units)
        File.write!(Lab.path("/srv/deploy"), script)
      else
        Lab.write_unit(file, text)
      end
    end

    # The greeting in the lab is that of other tests.
    File.mkdir_p!(Lab.path("#{@units}/overlap@.service.d"))
    drop_in = "[Service]\nEnvironment=GREETING_FILE=/none\n"
    File.write!(Lab.path("#{@units}/overlap@.service.d/greeting.conf"), drop_in)

    Lab.copy(Lab.hello(), "/srv/overlap")
    File.rename!(Lab.path("/srv/overlap/bin/hello"), Lab.path("/srv/overlap/bin/overlap"))
    releases = Lab.path("/srv/overlap/releases")
    [erts, built] = "#{releases}/start_erl.data" |> File.read!() |> String.split()
    on_exit(fn -> Lab.run("systemctl", ["stop", @socket, "overlap@*"]) end)
    {:ok, releases: releases, erts: erts, built: built}
  end

  # As if that version had been built. What is in its configuration is the path of the one that was.
  defp build(%{releases: releases, erts: erts, built: built}, version) do
    File.ln_s(built, "#{releases}/#{version}")
    File.write!("#{releases}/start_erl.data", "#{erts} #{version}")
  end

  defp deploy(argument \\ "/srv/overlap"), do: Lab.run("sh", ["/srv/deploy", argument])

  defp unit(version), do: "overlap@#{version}.service"

  defp running do
    {units, 0} = Lab.run("systemctl", ~w(list-units --plain --no-legend --state=active overlap@*))
    for line <- String.split(units, "\n", trim: true), do: line |> String.split() |> hd()
  end

  test "ten deploys under load, one that fails, a way back, a reboot", context do
    build(context, "1.0.0")
    assert {"deploy: 1.0.0 runs" <> _, 0} = deploy()
    assert running() == [unit("1.0.0")]
    assert GeneratedUnit.get(4110, "/") == "hello\n"

    {_, _, usual} =
      Load.during("No deploy", 4110, @clients, @load, fn -> Process.sleep(5_000) end)

    longest =
      for numbers <- Enum.chunk_every(1..@deploys, 2) do
        {_, _, longest} =
          Load.during("#{length(numbers)} deploys", 4110, @clients, @load, fn ->
            for number <- numbers do
              {version, before} = {"1.#{number}.0", "1.#{number - 1}.0"}
              build(context, version)
              assert {output, 0} = deploy()
              assert output == "deploy: #{version} runs, and --rollback goes back to #{before}\n"
              assert running() == [unit(version)]
              assert Lab.show(unit(before), "Result") == "success"
              Process.sleep(300)
            end
          end)

        longest
      end

    # Something else may run on this machine meanwhile.
    assert Enum.min(longest) < usual + 100

    last = "1.#{@deploys}.0"
    assert {"deploy: " <> refused, 1} = deploy()
    assert refused =~ "#{last} is running: a new release needs a new version"

    Load.during("A version that doesn't start", 4110, @clients, @load, fn ->
      main = Lab.show(unit(last), "MainPID")
      build(context, "2.0.0+sick")
      runtime = "#{context.releases}/#{context.built}/runtime.exs"
      well = File.read!(runtime)
      File.write!(runtime, "raise \"sick\"")
      assert {output, 1} = deploy()
      assert output =~ "deploy: 2.0.0_sick did not become ready, and #{last} runs on."
      assert running() == [unit(last)]
      assert Lab.show(unit(last), "MainPID") == main
      assert Lab.show(@socket, "Triggers") =~ unit(last)
      File.write!(runtime, well)
    end)

    Load.during("Back, and forth again", 4110, @clients, @load, fn ->
      for version <- ["1.#{@deploys - 1}.0", last] do
        assert {_, 0} = deploy("--rollback")
        assert running() == [unit(version)]
      end
    end)

    # is-enabled looks where the lab's manager looks for units, enable and disable do not.
    {links, 0} = Lab.run("ls", ["/etc/systemd/system/multi-user.target.wants"])
    assert for("overlap" <> _ = link <- String.split(links), do: link) == [unit(last)]

    Lab.systemctl!(["stop", @socket, "overlap@*"])
    assert running() == []
    Lab.systemctl!(["daemon-reexec"])
    Lab.systemctl!(["start", @socket])
    assert running() == []
    assert GeneratedUnit.get(4110, "/") == "hello\n"
    assert running() == [unit(last)]
  end

  test "two versions at once: one user, who has the data of both", context do
    build(context, "3.0.0")
    assert {_, 0} = deploy()
    build(context, "3.1.0")
    Lab.copy("#{Lab.path("/srv/overlap")}", "/opt/overlap-3.1.0")
    # As a deploy does that is interrupted.
    Lab.systemctl!(["start", unit("3.1.0")])
    assert running() == [unit("3.0.0"), unit("3.1.0")]

    [one, other] =
      for version <- ["3.0.0", "3.1.0"] do
        {uid, 0} = Lab.run("stat", ["-c", "%u", "/proc/#{Lab.show(unit(version), "MainPID")}"])
        uid
      end

    assert one == other and one != "0\n"
    assert {^one, 0} = Lab.run("stat", ["-c", "%u", "/var/lib/private/overlap"])
    assert {"deploy: 3.1.0 runs, and --rollback goes back to 3.0.0\n", 0} = deploy()
    assert running() == [unit("3.1.0")]

    # From where it was deployed to.
    assert {"deploy: 3.0.0 runs" <> _, 0} = deploy("/opt/overlap-3.0.0")
    assert running() == [unit("3.0.0")]

    assert {output, 1} = Lab.run("sh", ["-c", "cd /srv/overlap && exec sh /srv/deploy"])
    assert output =~ "deploy: nothing is not the folder of a release"
  end
end
