defmodule GenUnitTest do
  @moduledoc "What `mix systemd.gen.unit` writes; how it fares under a manager is in tests/live."
  use ExUnit.Case

  import ExUnit.CaptureIO
  alias Mix.Tasks.Systemd.Gen.Unit

  @moduletag :tmp_dir

  # In a project with that configuration.
  defp run(dir, args, config \\ [app: :app, version: "0.1.0"]) do
    output = SomeProject.run(dir, config, fn -> capture_io(fn -> Unit.run(args) end) end)

    files =
      for path <- Path.wildcard("#{dir}/rel/systemd/*"),
          do: {Path.basename(path), File.read!(path)}

    {output, Map.new(files)}
  end

  # What the doctor says of a unit, notices apart.
  defp doctor(text) do
    for {severity, line} <- :systemd_doctor.project([], :systemd_unit.parse(text)),
        severity != :notice,
        do: "#{line}"
  end

  defp lines(text), do: String.split(text, "\n", trim: true)

  test "the unit, and the four commands to install it", %{tmp_dir: dir} do
    {output, files} = run(dir, [], app: :systemd, version: "0.1.0")
    assert [{"systemd.service", text}] = Map.to_list(files)

    for line <- ["Type=notify", "ExecStart=/opt/systemd/bin/systemd start", "TimeoutStopSec=35s"],
        do: assert(line in lines(text))

    assert output =~ """
           On the server, as root:

               cp -rT --remove-destination _build/prod/rel/systemd /opt/systemd-0.1.0 && ln -sfnT systemd-0.1.0 /opt/systemd
               cp rel/systemd/systemd.* /etc/systemd/system/
               systemctl daemon-reload
               systemctl enable --now systemd.service
           """
  end

  test "those of examples/hello are what it writes", %{tmp_dir: dir} do
    {_, files} = run(dir, ["--socket", "80"], app: :hello, version: "1.0.0")

    for {name, text} <- files,
        do: assert(File.read!("examples/hello/rel/systemd/#{name}") == text)
  end

  test "each line has a comment, or one above it for its group", %{tmp_dir: dir} do
    for more <- [["--socket", "80", "--systemd", "258"], ["--user-unit", "--socket", "8080"]] do
      args = ["app", "--memory", "1G", "--distribution", "9100", "--force" | more]
      {_, files} = run(dir, args)

      for {_, text} <- files, section <- Regex.split(~r/^\[\w+\]\n/m, text, trim: true) do
        assert Enum.all?(lines(section), &(&1 =~ ~r/^(# .+|#?\w+=.*)$/))
      end

      assert files["app.service"] =~ "\n# "
      # What there is nothing to say of is there to be found.
      for name <- ~w(TimeoutStartSec FileDescriptorStoreMax),
          do: assert(files["app.service"] =~ ~r/^# .+\n##{name}=/m)
    end
  end

  for {args, there, gone} <- [
        {["--socket", "443"], ["Requires=app.socket", "After=network-online.target"], []},
        {["--low-port"], ["AmbientCapabilities=CAP_NET_BIND_SERVICE"],
         ["CapabilityBoundingSet="]},
        {[], ["RestartSec=2s", "PrivateTmp=yes"],
         ["RestartSteps=5", "PrivateTmp=disconnected", "PrivateBPF=yes"]},
        {["--systemd", "257"], ["PrivateTmp=disconnected"],
         ["RestartSteps=5", "PrivateTmp=yes", "PrivateBPF=yes"]},
        {["--systemd", "258"],
         ["RestartSec=2s", "RestartSteps=5", "RestartMaxDelaySec=1min"] ++
           ["PrivateTmp=disconnected", "PrivateBPF=yes"], ["PrivateTmp=yes"]},
        {["--user-unit"],
         ["ExecStart=%h/.local/lib/app/bin/app start", "WantedBy=default.target"] ++
           ["StateDirectory=app", "SystemCallFilter=@system-service"],
         ["DynamicUser=yes", "After=network-online.target", "CapabilityBoundingSet="] ++
           ["ProtectSystem=strict", "PrivateTmp=yes", "WantedBy=multi-user.target"]},
        {["--user-unit", "--prefix", "/home/me/app"], ["ExecStart=/home/me/app/bin/app start"],
         []},
        {["--user-unit", "--credential", "one"], ["LoadCredential=one:%h/.config/app/one"], []},
        {["--notify-reload"], ["Type=notify-reload"], ["ExecReload=/bin/kill -HUP $MAINPID"]},
        {["--drain", "300"], ["TimeoutStopSec=305s"], ["TimeoutStopSec=35s"]},
        {["--credential", "one", "--credential", "two"],
         ["LoadCredential=one:/etc/app/one", "LoadCredential=two:/etc/app/two"], []},
        {["--distribution", "9100"], ["LoadCredential=cookie:/etc/app/cookie"],
         ["Environment=RELEASE_DISTRIBUTION=none"]},
        {["--memory", "2G"], ["MemoryMax=2G", "MemorySwapMax=0"], []},
        {["--user", "app"], ["User=app"], ["DynamicUser=yes"]},
        {["--no-hardening"], ["DynamicUser=yes", "UMask=0077"], ["ProtectSystem=strict"]},
        {["--prefix", "/srv/app"], ["ExecStart=/srv/app/bin/app start"], []}
      ] do
    test Enum.join(args, " "), %{tmp_dir: dir} do
      {_, files} = run(dir, ["app" | unquote(args)])
      assert unquote(there) -- lines(files["app.service"]) == []
      assert unquote(gone) -- lines(files["app.service"]) == unquote(gone)
      assert doctor(files["app.service"]) == []
    end
  end

  test "--versions: a unit for each version, and the script that deploys one", %{tmp_dir: dir} do
    {output, files} = run(dir, ["app", "--socket", "80", "--versions"])
    assert Map.keys(files) == ["app.socket", "app@.service", "deploy"]

    # Without NonBlocking= a start takes O_NONBLOCK from the socket under the version that runs.
    there =
      ["Sockets=app.socket", "NonBlocking=yes", "ExecStart=/opt/app-%i/bin/app start"] ++
        ["DynamicUser=yes", "User=app", "StateDirectory=app", "RuntimeDirectory=app-%i"]

    assert there -- lines(files["app@.service"]) == []
    assert doctor(files["app@.service"]) == []
    refute "app.service" in Map.keys(files)
    assert {"", 0} = System.cmd("sh", ["-n", Path.join(dir, "rel/systemd/deploy")])

    assert output =~ """
               cp rel/systemd/app@.service rel/systemd/app.socket /etc/systemd/system/
               sh rel/systemd/deploy _build/prod/rel/app
           """
  end

  @excluded "--user-unit excludes --user, --low-port and --versions: the service runs as the user whose systemd starts " <>
              "it, without more rights, and the script deploy is for root"
  @low "--user-unit with --socket: a user's systemd can't open ports below 1024. Choose a higher port, or a system unit, " <>
         "without --user-unit"

  for {args, problem} <- [
        {["--systemd", "251"],
         "--systemd must be the version that systemctl --version shows on the server, 252 or later"},
        {["--user-unit", "--user", "me"], @excluded},
        {["--user-unit", "--low-port"], @excluded},
        {["--user-unit", "--socket", "8080", "--versions"], @excluded},
        {["--user-unit", "--socket", "1023"], @low},
        {["--user-unit", "--prefix", "~/app"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--versions"], "--versions needs --socket"},
        {["--socket", "80", "--versions", "--distribution", "9100"],
         "--versions excludes --distribution: two versions can't listen on the same port"},
        {["--socket", "0"], "--socket must be a port from 1 to 65535"},
        {["--socket", "65536"], "--socket must be a port from 1 to 65535"},
        {["--distribution", "0"], "--distribution must be a port from 1 to 65535"},
        {["--drain", "0"], "--drain must be a number of seconds from 1 to 2147483"},
        {["--credential", "a/b"], "a name may contain only letters, digits and - _ ."},
        {["--socket", "80", "--distribution", "80"],
         "--distribution and --socket must be different ports"},
        {["--drain", "2147484"], "--drain must be a number of seconds from 1 to 2147483"},
        {["--user", "a\nExecStart=/bin/true"],
         "--user must be a name of letters, digits and - _ ., or a number"},
        {["--user", "a%h"], "--user must be a name of letters, digits and - _ ., or a number"},
        {["--user=-x"], "--user must be a name of letters, digits and - _ ., or a number"},
        {["--prefix", "/home/me/app"],
         "--prefix: the sandbox hides /home, /root, /run/user, /tmp and /var/tmp. Choose another folder, or " <>
           "leave out the sandbox"},
        {["--prefix", "/opt/../app"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--prefix", "/opt/./app"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--prefix", "/opt//app"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--prefix", "/opt/app/"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--prefix", "/opt/my app"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
        {["--prefix", "opt"],
         "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"}
      ] do
    test "refused: #{inspect(args)}", %{tmp_dir: dir} do
      assert_raise Mix.Error, unquote(problem), fn -> run(dir, ["app" | unquote(args)]) end
      assert Path.wildcard("#{dir}/rel") == []
    end
  end

  test "refused: --versions without a user where the release's name can be none", %{tmp_dir: dir} do
    {args, config} = {["--socket", "80", "--versions"], [app: :"my.app", version: "1"]}
    assert_raise Mix.Error, ~r/^--versions needs --user/, fn -> run(dir, args, config) end
    run(dir, args ++ ["--user", "my_app"], config)
  end

  # systemd-analyze verify was seen to take, and to refuse, these.
  test "--memory is what MemoryMax= takes", %{tmp_dir: dir} do
    for size <- ~w(1 1048576 512K 1.5G 2G 9999999T 50% 12.5% 12.55% 100% infinity) do
      {_, files} = run(dir, ["--memory", size, "--force"])
      assert "MemoryMax=#{size}" in lines(files["app.service"])
    end

    problem = "--memory must be a number of bytes, a number with K, M, G, T or %, or infinity"

    File.rm_rf!("#{dir}/rel")

    for size <-
          ~w(lots 0 0K 0% 0.0% 101% 12.555% 1k 2GB -1 1e3 max 16777216T 0x10) ++ ["", "1\nA=1"] do
      assert_raise Mix.Error, problem, fn -> run(dir, ["--memory", size]) end
      assert Path.wildcard("#{dir}/rel") == []
    end
  end

  describe "the release" do
    @two [a_rel: [version: "1.2.3"], b_rel: [applications: [c: :permanent]]]
    @umbrella [apps_path: "apps"]

    for {what, args, config, name, version} <- [
          {"the project", [], [app: :c, version: "0.2.0"], "c", "0.2.0"},
          {"the project by its name", ["c"], [app: :c, version: "0.2.0"], "c", "0.2.0"},
          {"the only one", [], [app: :c, releases: [a_rel: [version: "1"]]], "a_rel", "1"},
          {"one of two", ["b_rel"], [app: :c, version: "2", releases: @two], "b_rel", "2"},
          {"the other", ["a_rel"], [app: :c, version: "2", releases: @two], "a_rel", "1.2.3"},
          {"default_release", [], [app: :c, releases: @two, default_release: :a_rel], "a_rel",
           "1.2.3"},
          {"no options", ["x"], [app: :c, version: "2", releases: [x: []]], "x", "2"},
          {"of an umbrella", [], @umbrella ++ [version: "3", releases: [u: []]], "u", "3"}
        ] do
      test what, %{tmp_dir: dir} do
        {output, files} = run(dir, unquote(args), unquote(config))
        assert Map.keys(files) == ["#{unquote(name)}.service"]
        link = "ln -sfnT #{unquote(name)}-#{unquote(version)} /opt/#{unquote(name)}\n"
        assert output =~ link
      end
    end

    test "options from a function", %{tmp_dir: dir} do
      releases = [f: fn -> [version: "7"] end, g: [version: "8"]]
      {output, _} = run(dir, ["f"], app: :c, version: "1", releases: releases)
      assert output =~ "ln -sfnT f-7 /opt/f\n"
    end

    for {what, options} <- [
          {"from_app", [version: {:from_app, :c}]},
          {"an umbrella without one", []}
        ] do
      test "a version that only the release knows: #{what}", %{tmp_dir: dir} do
        prefix = "#{dir}/opt/u"
        args = ["--no-hardening", "--prefix", prefix]
        {output, _} = run(dir, args, @umbrella ++ [releases: [u: unquote(options)]])
        File.mkdir_p!("#{dir}/_build/prod/rel/u/releases")
        File.mkdir_p!("#{dir}/opt")
        File.write!("#{dir}/_build/prod/rel/u/releases/start_erl.data", "13.1.5 1.2.3+x")
        commands = for "    " <> line <- lines(output), line =~ ~r/^(version=|cp -rT)/, do: line
        script = Enum.join(commands, "\n")
        assert {"", 0} = System.cmd("sh", ["-ec", script], cd: dir, stderr_to_stdout: true)
        assert File.read_link!(prefix) == "u-1.2.3+x"
        assert File.exists?("#{prefix}/releases/start_erl.data")
      end
    end

    for {args, config, problem} <- [
          {["c_rel"], [app: :c, version: "1", releases: @two],
           "there is no release c_rel in mix.exs, but a_rel, b_rel"},
          {["d"], [app: :c, version: "1"], "there is no release d in mix.exs, but c"},
          {[], [app: :c, version: "1", releases: @two],
           "which release: a_rel, b_rel? Name one, or set default_release in mix.exs"},
          {[], [app: :c, releases: @two, default_release: :d],
           "there is no release d in mix.exs, but a_rel, b_rel"},
          {[], @umbrella ++ [version: "1"], "an umbrella needs releases: in mix.exs"},
          {[], [app: :c, version: "1 2"],
           ~s|the version of the release may contain only letters, digits and - _ . +, and is "1 2"|},
          {[], [app: :c, version: "1", releases: [c: [version: ""]]],
           ~s|the version of the release may contain only letters, digits and - _ . +, and is ""|},
          {["a", "b"], [app: :c, version: "1"], "usage: mix systemd.gen.unit [RELEASE] [OPTIONS]"}
        ] do
      test "refused: #{problem}", %{tmp_dir: dir} do
        run = fn -> run(dir, unquote(args), unquote(config)) end
        assert_raise Mix.Error, unquote(problem), run
        assert Path.wildcard("#{dir}/rel") == []
      end
    end
  end

  test "--user-unit: the commands are the user's", %{tmp_dir: dir} do
    args = ["app", "--user-unit", "--socket", "8080", "--credential", "one"]
    {output, files} = run(dir, args)
    assert Map.keys(files) == ["app.service", "app.socket"]

    assert output =~ """
           On the server, as the user of the service:

               install -D -m 400 one ~/.config/app/one
               mkdir -p ~/.local/lib/app-0.1.0 ~/.config/systemd/user
               cp -rT --remove-destination _build/prod/rel/app ~/.local/lib/app-0.1.0 && ln -sfnT app-0.1.0 ~/.local/lib/app
               cp rel/systemd/app.* ~/.config/systemd/user/
               systemctl --user daemon-reload
               systemctl --user enable --now app.socket app.service

           So that the service starts at boot, and stays up when the user logs out:

               loginctl enable-linger
           """
  end

  test "secrets are put where they are read", %{tmp_dir: dir} do
    credentials = ["--credential", "secret_key_base", "--credential", "cookie"]
    {output, files} = run(dir, ["app", "--distribution", "9100" | credentials])

    assert output =~ """
               install -D -m 400 secret_key_base /etc/app/secret_key_base
               [ -e /etc/app/cookie ] || od -An -N20 -tx1 /dev/urandom | tr -d ' \\n' | install -D -m 400 /dev/stdin /etc/app/cookie
               cp -rT --remove-destination _build/prod/rel/app /opt/app-0.1.0 && ln -sfnT app-0.1.0 /opt/app
           """

    assert for("LoadCredential=" <> credential <- lines(files["app.service"]), do: credential) ==
             ["secret_key_base:/etc/app/secret_key_base", "cookie:/etc/app/cookie"]
  end

  test "a file that is there is left, unless it is asked for", %{tmp_dir: dir} do
    run(dir, ["app"])
    path = Path.join(dir, "rel/systemd/app.service")
    File.write!(path, "mine")
    config = [app: :app, version: "0.1.0"]
    SomeProject.run(dir, config, fn -> capture_io("n\n", fn -> Unit.run(["app"]) end) end)
    assert File.read!(path) == "mine"
    run(dir, ["app", "--force"])
    assert File.read!(path) =~ "Type=notify"
  end
end
