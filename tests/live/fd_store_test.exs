defmodule FdStoreTest do
  @moduledoc "Descriptors that the manager keeps while the service restarts."
  use ExUnit.Case, async: true

  @service ["FileDescriptorStoreMax=8", "Restart=always", "RestartSec=0"]

  # A client in the lab that has said the first half of its request.
  defp connect(port) do
    script = """
    exec 3<>/dev/tcp/127.0.0.1/#{port} && echo first >&3 && read && echo second >&3 && cat <&3
    """

    args = ["-t", Lab.manager(), "-a", "timeout", "60", "bash", "-c", script]
    nsenter = System.find_executable("nsenter")
    Port.open({:spawn_executable, nsenter}, [:binary, :exit_status, args: args])
  end

  # Says the second half, and returns all that comes until the service closes.
  defp finish(client) do
    Port.command(client, "\n")
    output(client)
  end

  defp output(client) do
    receive do
      {^client, {:data, data}} -> data <> output(client)
      {^client, {:exit_status, 0}} -> ""
    after
      20_000 -> flunk("the connection was not closed")
    end
  end

  defp datagram(port) do
    script = "exec 3<>/dev/udp/127.0.0.1/#{port} && echo hi >&3 && head -n1 <&3"
    {line, 0} = Lab.run("timeout", ["20", "bash", "-c", script])
    line
  end

  defp stored(unit), do: String.to_integer(Lab.show(unit, "NFileDescriptorStore"))

  defp knows_most?, do: Lab.systemd_version() >= 254

  test "a listener, a connection, a UDP socket and a memfd come back through every kind of restart" do
    unit = Lab.start_service("kept", [:ready], service: ["WatchdogSec=1s" | @service])
    client = connect_and_hold(unit, "live_sockets:hold(5010, 5011)", 5010)

    ways = [
      fn _ -> Lab.systemctl!(["restart", unit]) end,
      fn pid -> Lab.run("kill", ["-KILL", pid]) end,
      fn _ -> Lab.eval(unit, "systemd:watchdog(disable)") end
    ]

    for way <- ways, reduce: client do
      client ->
        assert stored(unit) == 4
        pid = Lab.show(unit, "MainPID")
        way.(pid)
        Lab.await("a new process", fn -> Lab.show(unit, "MainPID") not in [pid, "0"] end)
        Lab.await_property(unit, "ActiveState", "active")

        names = for {_, name} <- Lab.eval(unit, "systemd:listen_fds()"), do: to_string(name)
        assert Enum.sort(names) == ["connection", "listener", "state", "udp"]

        resume = Task.async(fn -> Lab.eval(unit, "live_sockets:resume()") end)
        assert finish(client) == "first\nsecond\n"
        assert datagram(5011) == "udp: hi\n"
        assert Task.await(resume, 20_000) == :ok

        connect_and_hold(unit, "live_sockets:hold()", 5010)
    end

    assert Lab.show(unit, "Result") == "success"
    assert Lab.journal(unit) =~ "Watchdog timeout"
  end

  # Somebody has to connect before the service can hold a connection.
  defp connect_and_hold(unit, hold, port) do
    holding = Task.async(fn -> Lab.eval(unit, hold) end)

    Lab.await("the listener", fn ->
      {listeners, 0} = Lab.run("ss", ["-Htln", "( sport = :#{port} )"])
      listeners != ""
    end)

    client = connect(port)
    assert is_pid(Task.await(holding, 20_000))
    client
  end

  test "1, 253 and 254 descriptors, names, closed ones and illegal names" do
    unit = Lab.start_service("counted", [:ready], service: ["FileDescriptorStoreMax=600"])

    store = fn fds ->
      Lab.eval(unit, "R = systemd:store_fds(#{fds}), ok = systemd:barrier(), R")
    end

    assert store.("live_sockets:sockets(1)") == :ok
    assert stored(unit) == 1
    assert store.("[{S, many} || S <- live_sockets:sockets(253)]") == :ok
    assert stored(unit) == 254
    assert store.(~S"[{S, 'm\\ore'} || S <- live_sockets:sockets(254)]") == :ok
    assert stored(unit) == 508

    assert store.("[{S, N} || S <- live_sockets:sockets(1), N <- [twice, \"twice\", once]]") ==
             :ok

    # One file is stored once, under its first name.
    assert stored(unit) == 509

    assert store.("live_sockets:sockets(1) ++ [999999]") == {:error, :bad_descriptor}

    assert store.("[{S, 'a:b'} || S <- live_sockets:sockets(1)]") ==
             {:error, {:invalid_fd_name, :"a:b"}}

    assert stored(unit) == 509
    assert Lab.eval(unit, "ok = systemd:clear_fds([many, once]), systemd:barrier()") == :ok
    assert stored(unit) == 255

    Lab.systemctl!(["restart", unit])
    names = for {_, name} <- Lab.eval(unit, "systemd:listen_fds()"), do: name
    assert Enum.frequencies(names) == %{~c"stored" => 1, ~c"m\\ore" => 254}
    assert {:error, {:several_fds, _, fds}} = Lab.eval(unit, ~S|systemd:listen_opts('m\\ore')|)
    assert length(fds) == 254
  end

  test "FileDescriptorStoreMax= of 0 and of 1" do
    for {most, store} <- [{0, 1}, {1, 2}] do
      unit =
        Lab.start_service("most-#{most}", [:ready], service: ["FileDescriptorStoreMax=#{most}"])

      result = Lab.eval(unit, "systemd:store_fds(live_sockets:sockets(#{store}))")
      assert Lab.eval(unit, "systemd:barrier()") == :ok

      if knows_most?() do
        assert result == {:error, {:fd_store_max, most}}
        assert stored(unit) == 0

        assert Lab.journal(unit) =~
                 "the unit may store no more than #{most} descriptors: see FileDescriptorStoreMax="
      else
        # Nobody tells the service.
        assert result == :ok
        assert stored(unit) == most
      end
    end
  end

  test "a hung-up socket is dropped, unless FDPOLL=0 forbids it" do
    unit = Lab.start_service("polled", [:ready], service: ["FileDescriptorStoreMax=8"])

    pair = fn name, options ->
      assert :ok =
               Lab.eval(unit, """
               {ok, L} = gen_tcp:listen(0, [{ifaddr, {local, "/run/live/#{name}"}}]),
               {ok, C} = gen_tcp:connect({local, "/run/live/#{name}"}, 0, []),
               {ok, S} = gen_tcp:accept(L),
               ok = systemd:store_fds([{S, #{name}}], #{options}),
               gen_tcp:close(S), gen_tcp:close(C), systemd:barrier()
               """)
    end

    pair.("kept", "[{poll, false}]")
    pair.("dropped", "[]")
    Lab.await("one of two", fn -> stored(unit) == 1 end)
    Lab.systemctl!(["restart", unit])
    assert Lab.eval(unit, "systemd:listen_fds()") == [{3, ~c"kept"}]
  end

  test "a term and a listener outlive a restart of the VM in place, and the last term is the one" do
    Lab.write_socket("reloaded", ["ListenStream=5020"])

    unit =
      Lab.write_service("reloaded", [{:answer, ~c"reloaded.socket"}, :ready],
        service: ["Sockets=reloaded.socket" | @service]
      )

    Lab.systemctl!(["start", "reloaded.socket", unit])

    for {term, reload} <- [{1, true}, {2, true}, {3, false}, {4, true}] do
      assert Lab.eval(
               unit,
               "systemd:store_term(state, #{term - 1}), systemd:store_term(state, #{term})"
             ) == :ok

      if reload do
        assert Lab.eval(unit, "systemd:reload()") == :ok
        Lab.await("reloading", fn -> Lab.show(unit, "ActiveState") == "reloading" end)
        Lab.await_property(unit, "ActiveState", "active")
      else
        Lab.run("systemctl", ["kill", "--signal=KILL", unit])
        Lab.await_property(unit, "NRestarts", "1")
        Lab.await_property(unit, "ActiveState", "active")
      end

      assert Lab.eval(unit, "systemd:fetch_term(state)") == {:ok, term}
      script = "exec 3<>/dev/tcp/127.0.0.1/5020 && echo hi >&3 && head -n1 <&3"
      assert Lab.run("timeout", ["20", "bash", "-c", script]) == {"reloaded.socket: hi\n", 0}
    end

    assert Lab.show(unit, "NRestarts") == "1"
  end

  test "child processes inherit none of the descriptors and none of the variables" do
    Lab.write_socket("parent", ["ListenStream=5040"])

    unit =
      Lab.write_service("parent", [:ready],
        service: ["Sockets=parent.socket", "WatchdogSec=10s" | @service]
      )

    Lab.systemctl!(["start", "parent.socket", unit])
    assert Lab.eval(unit, "systemd:store_term(state, 1), systemd:store_fds([{3, again}])") == :ok
    Lab.systemctl!(["restart", unit])
    # Three that were handed over, and one of a term that was stored in this life.
    assert Lab.eval(unit, "systemd:store_term(other, 1), length(systemd:listen_fds())") == 3

    {fds, _} = Enum.unzip(Lab.eval(unit, "systemd:listen_fds()"))
    pid = Lab.show(unit, "MainPID")
    assert fds == [3, 4, 5]
    assert length(stored_terms(pid)) == 2
    for fd <- fds ++ stored_terms(pid), do: assert(close_on_exec?(pid, fd))

    for start <- [
          "open_port({spawn, \"sleep 1000\"}, [])",
          "open_port({spawn_executable, \"/bin/sleep\"}, [{args, [\"1000\"]}, nouse_stdio])"
        ] do
      Lab.cast(unit, "P = #{start}, register(child, P), receive stop -> ok end")
      pid = Lab.await("the child", fn -> child(unit) end)
      {:ok, fds} = File.ls(Lab.path("/proc/#{pid}/fd"))
      links = for fd <- fds, do: {fd, File.read_link!(Lab.path("/proc/#{pid}/fd/#{fd}"))}
      # Pipes of its own; standard error is the journal's stream.
      for {fd, link} <- links, fd not in ["0", "1", "2"], do: assert("pipe:" <> _ = link)

      environment = File.read!(Lab.path("/proc/#{pid}/environ"))
      assert environment =~ "INVOCATION_ID="
      refute environment =~ ~r/(^|\0)(LISTEN_|NOTIFY_|WATCHDOG_|FDSTORE)/
      Lab.run("kill", ["-KILL", to_string(pid)])
      Lab.await("its end", fn -> child(unit) == nil end)
    end
  end

  defp stored_terms(pid) do
    {:ok, fds} = File.ls(Lab.path("/proc/#{pid}/fd"))

    for fd <- fds,
        File.read_link!(Lab.path("/proc/#{pid}/fd/#{fd}")) =~ "systemd-term:",
        do: String.to_integer(fd)
  end

  defp close_on_exec?(pid, fd) do
    info = File.read!(Lab.path("/proc/#{pid}/fdinfo/#{fd}"))
    [_, flags] = Regex.run(~r/flags:\s*(\d+)/, info)
    Bitwise.band(String.to_integer(flags, 8), 0o2000000) != 0
  end

  defp child(unit) do
    case Lab.eval(
           unit,
           "case whereis(child) of undefined -> undefined; P -> erlang:port_info(P, os_pid) end"
         ) do
      {:os_pid, pid} -> pid
      :undefined -> nil
    end
  end

  test "credentials are read, and never logged" do
    unit =
      Lab.start_service("trusted", [:ready],
        service: ["SetCredential=password:s3cret-of-the-test"]
      )

    assert {:ok, path} = Lab.eval(unit, "systemd:credentials(password)")
    assert path =~ ~r(/credentials/.*/password$)
    assert Lab.eval(unit, "systemd:read_credential(\"password\")") == {:ok, "s3cret-of-the-test"}
    assert Lab.eval(unit, "systemd:read_credential(other)") == {:error, :enoent}
    refute Lab.journal(unit) =~ "s3cret-of-the-test"
  end
end

defmodule FdStoreRoundsTest do
  @moduledoc "Alone, because thousands of notifications delay what other tests ask systemd for by seconds."
  use ExUnit.Case

  test "1,000 rounds of store and clear, and of stop and start of the application, leak nothing" do
    Lab.write_socket("rounds", ["ListenStream=5030"])

    unit =
      Lab.write_service("rounds", [:ready],
        service: ["Sockets=rounds.socket", "FileDescriptorStoreMax=8", "TimeoutStopSec=60"]
      )

    Lab.systemctl!(["start", "rounds.socket", unit])

    assert {before, between, afterwards} =
             Lab.eval(
               unit,
               """
               Sockets = [{S, s} || S <- live_sockets:sockets(3)],
               ok = systemd:store_term(t, 0),
               ok = systemd:clear_fds([t]),
               Before = live_sockets:fds(),
               [begin
                  ok = systemd:store_fds(Sockets),
                  ok = systemd:store_term(t, N),
                  {ok, N} = systemd:fetch_term(t),
                  ok = systemd:clear_fds([s, t])
                end || N <- lists:seq(1, 1000)],
               ok = systemd:barrier(),
               Between = live_sockets:fds(),
               [begin
                  ok = application:stop(systemd),
                  ok = application:start(systemd),
                  [{3, "rounds.socket"}] = systemd:listen_fds(),
                  {ok, _} = systemd:listen_opts("rounds.socket")
                end || _ <- lists:seq(1, 1000)],
               {Before, Between, live_sockets:fds()}
               """,
               60_000
             )

    IO.puts("descriptors: #{before}, after 1,000 rounds #{between}, and #{afterwards}")
    assert between == before

    # The kernel takes some 20 ms to open and to give up each watch on memory pressure, one after the other.
    Lab.await("as many as before", 60_000, fn ->
      Lab.eval(unit, "live_sockets:fds()") == before
    end)

    assert Lab.show(unit, "NFileDescriptorStore") == "0"
  end
end
