defmodule Lab do
  @moduledoc """
  A real systemd in namespaces of its own, and services in it.

  `boot/0` starts one for the whole run; it ends with this VM. Everything that a service needs
  is copied into it first.
  """

  @units "/etc/lab/units"
  @project Path.expand("../../..", __DIR__)

  def boot do
    lab = Path.join(__DIR__, "../lab")
    port = Port.open({:spawn_executable, lab}, [:binary, :exit_status, line: 100])

    receive do
      {^port, {:data, {:eol, pid}}} -> :persistent_term.put(__MODULE__, pid)
      {^port, {:exit_status, _}} -> raise "the lab did not come up"
    after
      15_000 -> raise "the lab did not come up"
    end

    copy(Application.app_dir(:live, "ebin"), "/srv/live/ebin")
    # OTP 29 doesn't load all that OTP 25 has compiled.
    if System.get_env("LAB_BUILT"), do: copy(built("_build/live/."), "/srv/live/ebin")
    File.mkdir_p!(path("/srv/live/priv"))

    include = Path.join(:code.root_dir(), "usr/include")

    {block, source} = {path("/srv/live/priv/live_block.so"), "tests/live/service/live_block.c"}
    args = ["-shared", "-fPIC", "-I", include, "-o", block, Path.join(@project, source)]
    {"", 0} = System.cmd("gcc", args)

    copy(built("_build/default/lib/systemd/ebin"), "/srv/systemd/ebin")
    copy(built("priv"), "/srv/systemd/priv")
    systemctl!(["log-level", "debug"])
    :ok
  end

  # What was built for the lab's root: in the project, or laid out like it in LAB_BUILT.
  defp built(path), do: Path.join(System.get_env("LAB_BUILT", @project), path)

  @doc "The release of examples/hello."
  def hello, do: built("examples/hello/_build/prod/rel/hello")

  @doc "Debian's RabbitMQ, see tests/rabbitmq."
  def rabbitmq, do: built("_build/rabbitmq")

  @doc "The manager's pid, as this machine sees it."
  def manager, do: :persistent_term.get(__MODULE__)

  @doc "Where a path of the lab is on this machine."
  def path(path), do: "/proc/#{manager()}/root#{path}"

  def copy(from, to) do
    File.mkdir_p!(path(Path.dirname(to)))
    {"", 0} = System.cmd("cp", ["-aL", from, path(to)])
    :ok
  end

  @doc "Runs a command in the lab: its output and its exit status."
  def run(command, args) do
    System.cmd("nsenter", ["-t", manager(), "-a", command | args], stderr_to_stdout: true)
  end

  def systemctl!(args) do
    case run("systemctl", args) do
      {output, 0} -> output
      {output, status} -> raise "systemctl #{Enum.join(args, " ")}: #{status}: #{output}"
    end
  end

  @doc "Writes a unit, as `service/3` makes it, and tells the manager."
  def write_service(name, children, options \\ []),
    do: write_unit("#{name}.service", service(name, children, options))

  @doc """
  The text of a unit, whose configuration it writes.

  `service` are lines of `[Service]` on top of `Type=notify` and an `ExecStart=` that runs
  `children` in `live_service` with `env` for the application systemd, which is that in `code`.
  """
  def service(name, children, options \\ []) do
    config = [
      children: children,
      env: Keyword.get(options, :env, []),
      control: String.to_charlist(control(name))
    ]

    File.mkdir_p!(path("/run/live"))
    text = Enum.map(config, &:io_lib.format("~0tp.~n", [&1]))
    File.write!(path("/etc/lab/#{name}.config"), text)

    code = Enum.join(Keyword.get(options, :code, ["/srv/systemd/ebin"]), " ")
    start = "-s live_service start /etc/lab/#{name}.config"

    unit(
      "/usr/bin/erl -noinput -pa #{code} /srv/live/ebin #{start}",
      Keyword.get(options, :service, [])
    )
  end

  @doc "The text of a unit that runs a command, with these lines of `[Service]`."
  def unit(command, lines \\ []) do
    """
    [Unit]
    DefaultDependencies=no
    [Service]
    Type=notify
    SyslogIdentifier=%n
    Environment=HOME=/root
    LimitCORE=0
    TimeoutStartSec=20
    TimeoutStopSec=20
    ExecStart=#{command}
    #{Enum.join(lines, "\n")}
    """
  end

  def write_unit(file, text) do
    File.write!(path("#{@units}/#{file}"), text)

    # What the manager does not know, or has just forgotten, it reads by itself. A reload is felt by tests that run
    # at the same time: it ends the connections of every systemctl, and loses what EXTEND_TIMEOUT_USEC= asked for.
    if stays_loaded?(file), do: systemctl!(["daemon-reload"])
    ExUnit.Callbacks.on_exit({__MODULE__, file}, fn -> remove_unit(file) end)
    file
  end

  @doc "Writes a socket unit with these lines of `[Socket]`."
  def write_socket(name, lines) do
    write_unit("#{name}.socket", """
    [Unit]
    DefaultDependencies=no
    [Socket]
    #{Enum.join(lines, "\n")}
    """)
  end

  # For longer than it takes to forget one.
  defp stays_loaded?(file), do: Enum.all?(1..25, fn _ -> loaded?(file) && Process.sleep(20) end)

  defp loaded?(file),
    do: systemctl!(["list-units", "--all", "--plain", "--no-legend", file]) != ""

  defp remove_unit(file) do
    run("systemctl", ["kill", "--signal=KILL", file])
    run("systemctl", ["stop", file])
    run("systemctl", ["reset-failed", file])
    File.rm!(path("#{@units}/#{file}"))
  end

  @doc "Writes a service as `write_service/3` does, and starts it."
  def start_service(name, children, options \\ []) do
    unit = write_service(name, children, options)

    case run("systemctl", ["start", unit]) do
      {_, 0} -> unit
      {output, _} -> raise "#{unit} did not start: #{output}\n#{journal(unit)}"
    end
  end

  defp control(name), do: "/run/live/#{name}.control"

  @doc "Whether a service's VM can evaluate expressions, which is before its application starts."
  def up?(unit), do: File.exists?(path(control(Path.rootname(unit))))

  @doc "Evaluates Erlang expressions in a service. Waits for so many milliseconds at most."
  def eval(unit, expressions, timeout \\ 30_000) do
    case ask(unit, expressions, timeout) do
      {:ok, term} -> :erlang.binary_to_term(term)
      {:error, reason} -> raise "#{unit} does not answer: #{reason}\n#{journal(unit)}"
    end
  end

  @doc "Evaluates Erlang expressions in a service, without waiting for it."
  def cast(unit, expressions) do
    pid = spawn(fn -> ask(unit, expressions) end)
    ExUnit.Callbacks.on_exit(fn -> Process.exit(pid, :kill) end)
  end

  @doc "As `eval/3`, where the service may fail: `{:ok, Binary}`, or `{:error, Reason}`."
  def ask(unit, expressions, timeout \\ 30_000) do
    address = {:local, path(control(Path.rootname(unit)))}

    with {:ok, socket} <- :gen_tcp.connect(address, 0, [:binary, packet: 4, active: false]) do
      :ok = :gen_tcp.send(socket, expressions <> ".")
      reply = :gen_tcp.recv(socket, 0, timeout)
      :gen_tcp.close(socket)
      reply
    end
  end

  @doc "Connects to a UNIX stream socket in the lab."
  def connect(path) do
    {:ok, socket} = :gen_tcp.connect({:local, path(path)}, 0, [:binary, active: false])
    socket
  end

  @doc "The head and the body of what a web server in the lab, which has a network of its own, answers."
  def get(port, path) do
    request = "GET #{path} HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n"
    script = "exec 3<>/dev/tcp/127.0.0.1/#{port}; printf '#{request}' >&3; cat <&3"
    {output, 0} = run("bash", ["-c", script])
    [_head, _body] = String.split(output, "\r\n\r\n", parts: 2)
  end

  @doc "The version of systemd, as a number."
  def systemd_version do
    [_, version] = Regex.run(~r/^systemd (\d+)/, systemctl!(["--version"]))
    String.to_integer(version)
  end

  @doc "One property of a unit."
  def show(unit, property),
    do: String.trim_trailing(systemctl!(["show", unit, "-p", property, "--value"]), "\n")

  @doc "How many descriptors (`fd`) or threads (`task`) the main process of a unit has."
  def count(unit, directory) do
    {output, 0} = run("ls", ["/proc/#{show(unit, "MainPID")}/#{directory}"])
    output |> String.split() |> length()
  end

  @doc "Several properties of a unit, at one moment."
  def show_all(unit, properties) do
    for line <- String.split(systemctl!(["show", unit, "-p", Enum.join(properties, ",")]), "\n"),
        [key, value] <- [String.split(line, "=", parts: 2)],
        into: %{},
        do: {key, value}
  end

  @doc "Waits until a property of a unit has that value."
  def await_property(unit, property, value, timeout \\ 10_000) do
    await("#{unit}: #{property}=#{value}", timeout, fn -> show(unit, property) == value end)
  end

  @doc "Waits for the restart in place that `by` begins."
  def restarted(unit, by) do
    by.()
    await_property(unit, "ActiveState", "reloading")
    await_property(unit, "ActiveState", "active")
  end

  @doc "Calls `fun` until it returns something else than `nil` or `false`, which it returns."
  def await(what, timeout \\ 10_000, fun) do
    await_until(what, fun, System.monotonic_time(:millisecond) + timeout)
  end

  defp await_until(what, fun, deadline) do
    result = fun.()

    cond do
      result ->
        result

      System.monotonic_time(:millisecond) > deadline ->
        raise ExUnit.AssertionError, message: "did not come true: #{what}"

      true ->
        # Each systemctl is work for the manager, which has its timers to look after.
        Process.sleep(40)
        await_until(what, fun, deadline)
    end
  end

  @doc "What a unit wrote to its standard output and error, and what the manager says of it."
  def journal(unit) do
    run("journalctl", ["--sync"])
    # Early lines are not attributed to the unit when journald was quicker than the manager.
    matches = ["UNIT=#{unit}", "+", "_SYSTEMD_UNIT=#{unit}", "+", "SYSLOG_IDENTIFIER=#{unit}"]
    {output, 0} = run("journalctl", ["-o", "cat", "--no-pager" | matches])
    output
  end

  @doc """
  What `journalctl` shows of the main process of a unit, in an output format of its own.

  By the pid, because journald may take early lines for the manager's.
  """
  def entries(unit, format, matches \\ []) do
    {_, 0} = run("journalctl", ["--sync"])
    args = ["-q", "--all", "-o", format, "_PID=#{show(unit, "MainPID")}" | matches]
    {output, 0} = run("journalctl", args)
    output
  end

  @doc "What the watchdog's thread of a process wrote into the journal."
  def watchdog_journal(pid) do
    run("journalctl", ["--sync"])
    {output, 0} = run("journalctl", ["-o", "cat", "-q", "_TRANSPORT=journal", "_PID=#{pid}"])
    for "watchdog: " <> _ = line <- String.split(output, "\n"), do: line
  end

  @doc "Fields of the entries with that MESSAGE_ID of a process, each a list of lines."
  def fields(pid, message_id, fields) do
    run("journalctl", ["--sync"])
    matches = ["_PID=#{pid}", "MESSAGE_ID=#{message_id}"]

    for field <- fields do
      args = ["-o", "cat", "-q", "--output-fields=#{field}" | matches]
      {output, 0} = run("journalctl", args)
      String.split(output, "\n", trim: true)
    end
  end

  @doc """
  The notifications of a unit as the manager received them, without the pings, each a list of
  assignments: the manager logs them at debug level, in parentheses (252) or after a colon (257).
  """
  def notifications(unit) do
    for [_, text] <-
          Regex.scan(
            ~r/Got notification message from PID \d+(?| \((.*)\)|: (.*))$/m,
            journal(unit)
          ),
        assignments = String.split(text, ", "),
        assignments != ["WATCHDOG=1"],
        do: assignments
  end

  @doc "Runs `fun` and returns how many milliseconds it took, and its result."
  def timed(fun) do
    {micros, result} = :timer.tc(fun)
    {div(micros, 1000), result}
  end
end
