defmodule SystemdTest do
  use ExUnit.Case

  # A socket in the manager's place.
  defp under_systemd(env \\ []) do
    path = "/tmp/systemd-#{System.pid()}-#{System.unique_integer([:positive])}"
    {:ok, socket} = :gen_udp.open(0, [:binary, active: true, ifaddr: {:local, path}])
    variables = [{"NOTIFY_SOCKET", path} | env]
    :ok = Application.stop(:systemd)
    System.put_env(variables)
    :ok = Application.start(:systemd)

    on_exit(fn ->
      Application.stop(:systemd)
      Application.delete_env(:systemd, :watchdog_check)
      for {name, _} <- variables, do: System.delete_env(name)
      File.rm!(path)
      :ok = Application.start(:systemd)
    end)

    socket
  end

  defp next(socket) do
    assert_receive {:udp, ^socket, _, _, bytes}, 2000
    bytes
  end

  setup do
    %{level: level} = :logger.get_primary_config()
    :logger.set_primary_config(:level, :none)
    on_exit(fn -> :logger.set_primary_config(:level, level) end)
  end

  test "has every function of :systemd" do
    generated = [__info__: 1, module_info: 0, module_info: 1]

    assert Enum.sort(Systemd.module_info(:exports) -- generated) ==
             Enum.sort(:systemd.module_info(:exports) -- generated)
  end

  test "documents and types every function" do
    {:docs_v1, _, :elixir, "text/markdown", %{"en" => _}, _, docs} = Code.fetch_docs(Systemd)

    assert [] == for({{:function, name, _}, _, _, doc, _} <- docs, not is_map(doc), do: name)

    {:ok, specs} = Code.Typespec.fetch_specs(Systemd)
    typed = for {{name, _}, _} <- specs, uniq: true, do: name
    assert Enum.sort(typed) == Systemd.__info__(:functions) |> Keyword.keys() |> Enum.uniq()
  end

  test "the article's tree: ready, draining, drained, stopping" do
    socket = under_systemd()

    {:ok, supervisor} =
      Supervisor.start_link(
        [
          Systemd.set_status(down: [status: "drained"]),
          {Agent, fn -> :drainer end},
          Systemd.set_status(up: [status: ~c"warm"], down: {:status, "draining"}),
          Systemd.ready()
        ],
        strategy: :one_for_one
      )

    assert next(socket) == "STATUS=warm\n"
    assert next(socket) == "READY=1\n"
    # As kernel calls it when shutdown begins.
    :systemd_lifecycle.begun(:shutdown)
    assert next(socket) == "STOPPING=1\n"
    Supervisor.stop(supervisor)
    assert next(socket) == "STATUS=draining\n"
    assert next(socket) == "STATUS=drained\n"
  end

  # One that began before, too: what counts is when it is answered.
  test "Systemd.Plug.Drain: connection: close from when shutdown begins, and not over HTTP/2" do
    socket = under_systemd()
    answer = fn conn -> conn.before_send.(conn).headers end
    begun = Systemd.Plug.Drain.call(%Plug.Conn{}, Systemd.Plug.Drain.init([]))
    assert {Systemd.is_stopping(), answer.(begun)} == {false, []}
    :systemd_lifecycle.begun(:shutdown)
    assert next(socket) == "STOPPING=1\n"
    assert {Systemd.is_stopping(), answer.(begun)} == {true, [{"connection", "close"}]}
    http2 = Systemd.Plug.Drain.call(%Plug.Conn{protocol: :"HTTP/2"}, [])
    assert answer.(http2) == []
  end

  test "states as Elixir writes them" do
    socket = under_systemd()

    for {states, bytes} <- [
          {:ready, "READY=1\n"},
          {[status: "grüezi"], "STATUS=grüezi\n"},
          {[status: ["1", ?\s, ~c"of 2"]], "STATUS=1 of 2\n"},
          {[:ready, status: "up", errno: 0], "READY=1\nSTATUS=up\nERRNO=0\n"},
          {[extend_timeout: {2, :second}], "EXTEND_TIMEOUT_USEC=2000000\n"},
          {[x_users: 7], "X_USERS=7\n"},
          {{"X_USERS", "8"}, "X_USERS=8\n"}
        ] do
      assert Systemd.notify(states) == :ok
      assert next(socket) == bytes
    end

    assert Systemd.notify(buserror: "a\nb") == {:error, {:invalid_value, :buserror}}
    assert Systemd.notify(%{}) == {:error, {:invalid_state, %{}}}
    assert Systemd.notify(status: nil) == {:error, {:invalid_value, :status}}
  end

  test "watchdog_check as config.exs writes it" do
    socket = under_systemd([{"WATCHDOG_USEC", "200000"}])
    assert Systemd.watchdog(:state) == 200
    assert next(socket) == "WATCHDOG=1\n"

    for check <- [
          {Kernel, :==, [1, 1]},
          &__MODULE__.well?/0,
          [process: :kernel_sup, schedulers: 5000]
        ] do
      Application.put_env(:systemd, :watchdog_check, {Kernel, :==, [1, 2]})
      skip_to(socket, "STATUS=watchdog: Kernel.==/2 returned false\n")
      silence(socket)
      Application.put_env(:systemd, :watchdog_check, check)
      # Instead of what has failed.
      assert next(socket) == "STATUS=\n"
      assert next(socket) == "WATCHDOG=1\n"
    end

    assert Systemd.watchdog(:disable) == :ok
    assert Systemd.watchdog(:state) == false
    silence(socket)
    assert Systemd.watchdog(:ping) == :ok
    assert next(socket) == "WATCHDOG=1\n"
    assert Systemd.watchdog(:trigger) == :ok
    assert next(socket) == "WATCHDOG=trigger\n"
    assert Systemd.watchdog(:enable) == :ok
    assert next(socket) == "WATCHDOG=1\n"
  end

  defp skip_to(socket, message), do: next(socket) == message || skip_to(socket, message)

  # No ping for five intervals. What an overdue answer makes the thread say is no ping.
  defp silence(socket) do
    receive do
      {:udp, ^socket, _, _, _} -> silence(socket)
    after
      100 -> :ok
    end
  end

  def well?, do: true
end
