defmodule Bench.Programs do
  @moduledoc "What is measured: programs in C, and VMs with this library or with the hex package."

  @project Path.expand("../../../..", __DIR__)
  @out Path.join(@project, "_build/bench")

  @doc "Compiles those in C."
  def build do
    File.mkdir_p!(@out)

    for source <- Path.wildcard("#{@project}/tests/bench/service/*.c") do
      {"", 0} =
        System.cmd("gcc", [
          "-O2",
          "-o",
          out(Path.basename(source, ".c")),
          source,
          "-l:libsystemd.so.0"
        ])
    end

    :ok
  end

  def out(name), do: Path.join(@out, name)

  @doc "Where the compiled code of the application systemd is, ours or that of the hex package."
  def code(:ours), do: [Path.join(@project, "_build/default/lib/systemd/ebin")]

  def code(:hex) do
    for name <- ["systemd", "enough"],
        path = Path.wildcard("#{@project}/_build/rabbitmq/plugins/#{name}-*/ebin"),
        do: hd(path)
  end

  def code(:none), do: []

  @doc "Copies the hex package into the lab."
  def install_hex do
    for ebin <- code(:hex),
        name = ebin |> Path.dirname() |> Path.basename(),
        do: Lab.copy(ebin, "/srv/hex/#{name}")

    :ok
  end

  @doc "As `code/1`, in the lab."
  def in_lab(:ours), do: ["/srv/systemd/ebin"]

  def in_lab(:hex),
    do: for(ebin <- code(:hex), do: "/srv/hex/#{ebin |> Path.dirname() |> Path.basename()}")

  @doc "Where the compiled programs in Erlang are."
  def ebin, do: Application.app_dir(:bench, "ebin")

  @doc "The command of a VM in which one of the modules in `service` is run."
  def erl(whose, module, args, flags \\ []) do
    paths = code(whose) ++ [ebin(), Application.app_dir(:live, "ebin")]
    run = ["-run", module, "main" | Enum.map(args, &to_string/1)]
    ["erl", "-noinput", "-pa"] ++ paths ++ flags ++ run
  end

  @doc "Runs a command: the numbers that it prints."
  def numbers([command | args], env \\ []) do
    case System.cmd(command, args, env: env, stderr_to_stdout: true) do
      {output, 0} -> for word <- String.split(output), do: String.to_integer(word)
      {output, status} -> raise "#{command} #{Enum.join(args, " ")}: #{status}: #{output}"
    end
  end

  @doc """
  Calls `fun` with the path of a socket that is read and the reader's pid, and returns what the reader has
  printed as well. The queue is as long as where systemd has booted the machine.
  """
  def receiving(fun) do
    path = "/tmp/systemd-bench-#{System.pid()}-#{System.unique_integer([:positive])}"
    # In a network namespace of its own, for the length of its queue.
    script = "echo 512 >/proc/sys/net/unix/max_dgram_qlen; exec #{out("receiver")} #{path}"
    unshare = System.find_executable("unshare")
    port = Port.open({:spawn_executable, unshare}, [:binary, args: ["--net", "sh", "-c", script]])
    {:os_pid, pid} = Port.info(port, :os_pid)

    try do
      await(path)
      {fun.(path, pid), printed(port)}
    after
      {_, 0} = System.cmd("kill", ["-KILL", "#{pid}"])
      File.rm(path)
    end
  end

  defp await(path), do: File.exists?(path) || await_again(path)

  defp await_again(path) do
    Process.sleep(5)
    await(path)
  end

  defp printed(port) do
    receive do
      {^port, {:data, text}} -> text <> printed(port)
    after
      200 -> ""
    end
  end
end
