defmodule Hello.Listener do
  @moduledoc """
  Accepts connections, and hands each to a task of `Hello.Requests`.

  On the socket of `systemd/hello.socket` where systemd hands it over, or else on a port.
  """
  use GenServer

  def start_link(options), do: GenServer.start_link(__MODULE__, options, name: __MODULE__)

  @doc "Returns when every connection that was accepted has its task."
  def stop_accepting, do: GenServer.call(__MODULE__, :stop_accepting)

  @impl true
  def init(port: port) do
    {:ok, port, options} = Systemd.listen_opts("http", port)
    more = [:inet6, :binary, packet: :http_bin, active: false, reuseaddr: true, backlog: 4096]

    with {:ok, socket} <- :gen_tcp.listen(port, options ++ more) do
      {:ok, acceptor} = Task.start_link(fn -> accept(socket) end)
      {:ok, {socket, acceptor}}
    else
      {:error, reason} -> {:stop, {:listen, port, reason}}
    end
  end

  @impl true
  def handle_call(:stop_accepting, _from, {socket, acceptor} = state) do
    monitor = Process.monitor(acceptor)
    send(acceptor, :stop)
    receive do: ({:DOWN, ^monitor, _, _, _} -> :ok)
    {:reply, :gen_tcp.close(socket), state}
  end

  # Stops by itself, and only then the listener is closed: OTP drops a connection that it accepts
  # while that happens.
  defp accept(listener) do
    receive do
      :stop -> :ok
    after
      0 -> accept_next(listener)
    end
  end

  defp accept_next(listener) do
    case :gen_tcp.accept(listener, 100) do
      {:ok, socket} ->
        {:ok, task} = Task.Supervisor.start_child(Hello.Requests, Hello.Request, :serve, [])
        :ok = :gen_tcp.controlling_process(socket, task)
        send(task, {:serve, socket})
        accept(listener)

      {:error, :timeout} ->
        accept(listener)
    end
  end
end
