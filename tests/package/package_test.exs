defmodule PackageTest do
  @moduledoc "The package on a machine that has no Rust: built by Mix and by rebar3, installed, and then it serves."
  use ExUnit.Case

  @project Path.expand("../..", __DIR__)
  @tools ["mix", "rebar3"]

  # Where a consumer is built, how, and what writes its units.
  @releases %{
    "mix" => {"mix release", "mix systemd.gen.unit"},
    "rebar3" => {"rebar3 as prod release", "rebar3 systemd gen_unit"}
  }

  setup_all do
    [package] = Path.wildcard("#{@project}/_build/package/systemd-*.tar.gz")
    Lab.copy(package, "/opt/package.tar.gz")
    shell!("cd /opt && tar -xzf package.tar.gz && mv systemd-* package")
    # OTP 29 doesn't load all that OTP 25 has compiled.
    unless File.exists?(Lab.path("/usr/bin/rebar3")),
      do: Lab.copy(System.find_executable("rebar3"), "/usr/local/bin/rebar3")

    for tool <- @tools, do: Lab.copy("#{@project}/tests/consumers/#{tool}", "/opt/#{tool}")
    shell!("mkdir /opt/rebar3/_checkouts")
    # The only folder of units that the lab's manager reads.
    shell!("rm -r /etc/systemd/system && ln -s /etc/lab/units /etc/systemd/system")
    :ok
  end

  # A copy of the package in which `change` has been run, and a consumer of it.
  setup context do
    number = System.unique_integer([:positive])
    package = "/opt/package-#{number}"
    shell!("cp -R /opt/package #{package}")

    consumers =
      for tool <- @tools, into: %{} do
        shell!("cp -R /opt/#{tool} /opt/#{tool}-#{number}")
        {tool, "/opt/#{tool}-#{number}"}
      end

    shell!("ln -s #{package} #{consumers["rebar3"]}/_checkouts/systemd")
    shell!("cd #{package} && #{context[:change] || true}")
    {:ok, package: package, consumers: consumers}
  end

  defp shell(command) do
    env = ["LANG=C.UTF-8", "HOME=/root", "MIX_ENV=prod"]
    Lab.run("env", env ++ ["sh", "-c", command])
  end

  defp shell!(command) do
    {output, status} = shell(command)
    assert status == 0, "#{command}: #{output}"
    output
  end

  defp run(command, tool, context, env \\ "") do
    "cd #{context.consumers[tool]} && export SYSTEMD_PATH=#{context.package} #{env} && #{command}"
  end

  defp native(package), do: String.split(shell!("ls #{package}/priv/*.so 2>/dev/null || true"))

  test "there is no Rust, and on Debian 12 no compiler for C" do
    for tool <- ["cargo", "rustc" | if(Lab.systemd_version() < 253, do: ["gcc", "cc"], else: [])],
        do: assert({_, 1} = Lab.run("which", [tool]))
  end

  test "the guides that README.md links to are in it" do
    links = Regex.scan(~r/\]\((docs\/[\w.]+)/, File.read!(Lab.path("/opt/package/README.md")))
    assert length(links) > 10
    for [_, file] <- links, do: assert(File.exists?(Lab.path("/opt/package/#{file}")), file)
  end

  test "the library: less than 500 kB, of glibc nothing above 2.17" do
    library = Path.wildcard("#{@project}/_build/package/systemd-*/native/prebuilt/*/*.so")
    assert [library] = Enum.filter(library, &(&1 =~ "x86_64-unknown-linux-gnu"))
    size = File.stat!(library).size
    {symbols, 0} = System.cmd("readelf", ["--wide", "--dyn-syms", library])
    versions = for [_, v] <- Regex.scan(~r/@GLIBC_([\d.]+)/, symbols), do: String.split(v, ".")
    highest = versions |> Enum.map(&Enum.map(&1, fn n -> String.to_integer(n) end)) |> Enum.max()
    IO.puts("#{Path.basename(library)}: #{size} B, glibc #{Enum.join(highest, ".")}")
    assert size < 500_000
    assert highest <= [2, 17]
  end

  for {tool, {release, units}} <- @releases do
    test "#{release}, #{units}, and the four commands that it names: a service", context do
      on_exit(fn ->
        shell(
          "systemctl disable --now consumer.service; rm -r /opt/consumer /opt/consumer-1* /etc/lab/units/consumer.service"
        )
      end)

      shell!(run(unquote(release), unquote(tool), context))

      found =
        shell!(
          run(
            "find -L _build/prod/rel -path '*/lib/systemd-*' -name '*.so'",
            unquote(tool),
            context
          )
        )

      assert [_] = String.split(found)
      output = shell!(run(unquote(units), unquote(tool), context))
      [_, printed] = String.split(output, "On the server, as root:\n\n")
      commands = for "    " <> command <- String.split(printed, "\n"), do: command
      assert length(commands) == 4
      shell!(run(Enum.join(commands, " && "), unquote(tool), context))

      unit = "consumer.service"
      assert Lab.show(unit, "StatusText") == "ready"
      # The same version once more: what runs has its files for as long as it does.
      shell!(run(hd(commands), unquote(tool), context))
      Process.sleep(2500)
      assert Lab.journal(unit) =~ "WATCHDOG=1"
      assert Lab.show(unit, "NRestarts") == "0"
      Lab.systemctl!(["stop", unit])
      assert ["STOPPING=1"] in Lab.notifications(unit)
      assert Lab.show(unit, "Result") == "success"
    end
  end

  describe "docs/erlang.md" do
    setup context do
      on_exit(fn ->
        shell("systemctl disable --now greet.socket greet.service")
        shell("rm -r /opt/greet* /etc/greet /etc/lab/units/greet.*")
      end)

      shell!("mkdir -p /opt/greet-project/_checkouts")
      shell!("ln -s #{context.package} /opt/greet-project/_checkouts/systemd")
      blocks = Guide.blocks("docs/erlang.md")

      for %{name: name, text: text} <- blocks, name != nil do
        path = Lab.path("/opt/greet-project/#{name}")
        File.mkdir_p!(Path.dirname(path))
        File.write!(path, text)
      end

      commands = for %{language: "console", text: text} <- blocks, do: String.trim(text)
      {:ok, commands: commands}
    end

    # Those that it shows, and those that these print.
    defp install(commands) do
      output = shell!("cd /opt/greet-project && " <> Enum.join(commands, " && "))
      [_, printed] = String.split(output, "On the server, as root:\n\n")
      commands = for "    " <> command <- String.split(printed, "\n"), do: command
      {output, status} = shell("cd /opt/greet-project && " <> Enum.join(commands, " && "))
      assert status == 0, output <> Lab.journal("greet.service")
    end

    test "the project in it, with its units: answers on a socket of systemd", context do
      assert ["$ " <> units, "$ " <> release, "# " <> _] = context.commands
      install([units, release])
      assert Lab.show("greet.service", "StatusText") == "ready"
      assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(7007, "/")
      Lab.systemctl!(["restart", "greet.service"])
      assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(7007, "/")
      assert Lab.show("greet.service", "Result") == "success"
    end

    test "with Erlang distribution", context do
      assert ["$ " <> _, "$ " <> release, "# " <> doctor] = context.commands

      vm_args =
        ~S|sed -i 's,vm_args\, "config/vm.args",vm_args_src\, "config/vm.args.src",' rebar.config|

      install([vm_args, "rebar3 systemd gen_unit --distribution 9107", release])
      # The first check may come before what it looks at.
      Lab.await("nothing wrong", fn -> shell!(doctor) =~ ~r/^nothing is wrong$/m end)
      unit = shell!("cat /etc/lab/units/greet.service")
      [_, rpc] = Regex.run(~r/^#   (.*) \.\.\.$/m, unit)
      assert shell!(rpc <> " systemd info") =~ "announced => [ready]"
    end
  end

  test "rebar3 systemd gen_unit leaves a file that is there, unless it is asked", context do
    file = "config/systemd/consumer.service"
    units = fn more -> shell!(run("rebar3 systemd gen_unit #{more}", "rebar3", context)) end
    shell!(run("mkdir -p config/systemd && echo mine >#{file}", "rebar3", context))
    assert units.("") =~ "#{file} exists and was not changed: --force overwrites it"
    assert shell!(run("cat #{file}", "rebar3", context)) == "mine\n"
    units.("--force --memory 2G --credential one --credential two --drain 60 --hardening=false")
    text = shell!(run("cat #{file}", "rebar3", context))

    for line <- ["MemoryMax=2G", "LoadCredential=two:/etc/consumer/two", "TimeoutStopSec=65s"],
        do: assert(text =~ line)

    refute text =~ "ProtectSystem"
  end

  @docs %{
    "mix" =>
      ~S|mix run --no-start -e '{:docs_v1, _, :erlang, _, _, _, _} = Code.fetch_docs(:systemd)'|,
    "rebar3" =>
      ~S|erl -noinput -pa _build/*/checkouts/systemd/ebin -eval '{ok, _} = code:get_doc(systemd), halt().'|
  }

  for tool <- @tools do
    test "the docs of :systemd, as #{tool} has them", context do
      shell!(run("#{unquote(tool)} compile && #{@docs[unquote(tool)]}", unquote(tool), context))
    end
  end

  @target "x86_64-unknown-linux-gnu"
  @library "#{@target}/systemd_nif-0.1.0.so"

  for {what, change, misfit} <- [
        {"a broken checksum", "echo >>native/prebuilt/#{@library}",
         "native/prebuilt/#{@library} does not match native/prebuilt/SHA256SUMS. Download the package again."},
        {"another architecture",
         "mv native/prebuilt/#{@target} native/prebuilt/riscv64-unknown-linux-gnu",
         "the package has no library for #{@target}, only for riscv64-unknown-linux-gnu."},
        {"another version",
         "mv native/prebuilt/#{@library} native/prebuilt/#{@target}/systemd_nif-0.0.9.so",
         "the package is version 0.1.0, but contains #{@target}/systemd_nif-0.0.9.so. Download it again."},
        {"a system of 32 bits on a kernel of 64",
         ~S"mkdir bin && printf '#!/bin/sh\n[ $1 = LONG_BIT ] && echo 32 || echo glibc 2.36\n' >bin/getconf && chmod +x bin/getconf",
         "the package has no library for x86_64.32-unknown-linux-gnu, only for #{@target}."},
        {"the sources", "rm -r native/prebuilt",
         "this is a source checkout, which has no prebuilt libraries."}
      ],
      tool <- @tools do
    @tag change: change
    test "#{what}, and no Rust: what #{tool} says", context do
      path = "PATH=#{context.package}/bin:$PATH"
      {output, status} = shell(run("#{unquote(tool)} compile", unquote(tool), context, path))
      assert status != 0

      assert said(output) == """
             systemd: no library is named: SYSTEMD_NIF_PATH is not set. Set it to the absolute path of a library.
             systemd: no library is prebuilt: #{unquote(misfit)}
             systemd: no library can be built: there is no cargo in PATH. Install Rust 1.91 or later, see https://rustup.rs.
             """

      assert native(context.package) == []
    end
  end

  # Once: rebar3 repeats what a hook has written.
  defp said(output) do
    lines = for "systemd: " <> _ = line <- String.split(output, "\n"), do: line <> "\n"
    lines |> Enum.uniq() |> Enum.join()
  end

  for tool <- @tools do
    @tag change: "mv native/prebuilt/#{@library} /tmp/named-#{tool}.so; rm -r native/prebuilt"
    test "a library that is named to #{tool}", context do
      named = "/tmp/named-#{unquote(tool)}.so"
      compile = "#{unquote(tool)} compile"
      nowhere = run(compile, unquote(tool), context, "SYSTEMD_NIF_PATH=/nowhere.so")
      {output, status} = shell(nowhere)
      assert status != 0

      assert said(output) ==
               "systemd: SYSTEMD_NIF_PATH is /nowhere.so, but that file does not exist. It must be an absolute path.\n"

      shell!(run(compile, unquote(tool), context, "SYSTEMD_NIF_PATH=#{named}"))
      assert native(context.package) == ["#{context.package}/priv/systemd_nif.so"]
      shell!("cmp #{named} #{context.package}/priv/systemd_nif.so")
    end
  end

  @darwin ~S"""
  mkdir bin && printf '#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo arm64\n' >bin/uname && chmod +x bin/uname
  """

  @in_elixir ~S|{:ok, _} = Application.ensure_all_started(:consumer)
    IO.inspect({:systemd.notify(:ready), :systemd.listen_fds(), Systemd.watchdog(:state)})|
  @in_erlang ~S|io:format("~p~n", [{systemd:notify(ready), systemd:listen_fds(), systemd:watchdog(state)}]), init:stop().|

  for {tool, release, start, done} <- [
        {"mix", "mix release", "_build/prod/rel/consumer/bin/consumer eval '#{@in_elixir}'",
         "{:ok, [], false}"},
        {"rebar3", "rebar3 as prod release",
         "_build/prod/rel/consumer/bin/consumer foreground -noshell -eval '#{@in_erlang}'",
         "{ok,[],false}"}
      ] do
    @tag change: @darwin
    test "on macOS, as #{tool} sees it: nothing is built; it starts, and calls do nothing",
         context do
      path = "PATH=#{context.package}/bin:$PATH"
      shell!(run(unquote(release), unquote(tool), context, path))
      assert native(context.package) == []
      output = shell!(run(unquote(start), unquote(tool), context, path))
      assert output =~ unquote(done)
      refute output =~ "native library"
    end
  end
end
