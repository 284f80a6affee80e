defmodule GenUnitTest do
  @moduledoc "What `mix systemd.gen.unit` writes; how it fares under a manager is in tests/live."
  use ExUnit.Case

  import ExUnit.CaptureIO
  alias Mix.Tasks.Systemd.Gen.Unit

  @moduletag :tmp_dir

  defp run(dir, args) do
    output = File.cd!(dir, fn -> capture_io(fn -> Unit.run(args) end) end)

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
    {output, files} = run(dir, [])
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
    {_, files} = run(dir, ["hello", "--socket", "80"])

    for {name, text} <- files,
        do: assert(File.read!("examples/hello/rel/systemd/#{name}") == text)
  end

  test "each line has a comment, or one above it for its group", %{tmp_dir: dir} do
    {_, files} = run(dir, ["app", "--socket", "80", "--memory", "1G", "--distribution", "9100"])

    for {_, text} <- files, section <- Regex.split(~r/^\[\w+\]\n/m, text, trim: true) do
      assert Enum.all?(lines(section), &(&1 =~ ~r/^(# .+|#?\w+=.*)$/))
    end

    assert files["app.service"] =~ "\n# "
  end

  for {args, there, gone} <- [
        {["--socket", "443"], ["Requires=app.socket", "After=network-online.target"], []},
        {["--low-port"], ["AmbientCapabilities=CAP_NET_BIND_SERVICE"],
         ["CapabilityBoundingSet="]},
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

  for {args, problem} <- [
        {["--versions"], "--versions needs --socket"},
        {["--socket", "80", "--versions", "--distribution", "9100"],
         "--versions excludes --distribution: two versions can't listen at one port"},
        {["--socket", "0"], "--socket is a port from 1 to 65535"},
        {["--socket", "65536"], "--socket is a port from 1 to 65535"},
        {["--distribution", "0"], "--distribution is a port from 1 to 65535"},
        {["--drain", "0"], "--drain is a number of seconds from 1 on"},
        {["--credential", "a/b"], "a name is of letters, digits and - _ ."},
        {["--user", "a\nExecStart=/bin/true"], "--user and --memory are a word each"},
        {["--memory", ""], "--user and --memory are a word each"},
        {["--prefix", "/opt/my app"],
         "--prefix is an absolute path of letters, digits and - _ . +"},
        {["--prefix", "opt"], "--prefix is an absolute path of letters, digits and - _ . +"}
      ] do
    test "refused: #{inspect(args)}", %{tmp_dir: dir} do
      assert_raise Mix.Error, unquote(problem), fn -> run(dir, ["app" | unquote(args)]) end
      assert Path.wildcard("#{dir}/rel") == []
    end
  end

  test "refused: --versions without a user where the release's name can be none", %{tmp_dir: dir} do
    args = ["my.app", "--socket", "80", "--versions"]
    assert_raise Mix.Error, ~r/^--versions needs --user/, fn -> run(dir, args) end
    run(dir, args ++ ["--user", "my_app"])
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
    capture_io("n\n", fn -> File.cd!(dir, fn -> Unit.run(["app"]) end) end)
    assert File.read!(path) == "mine"
    run(dir, ["app", "--force"])
    assert File.read!(path) =~ "Type=notify"
  end
end
