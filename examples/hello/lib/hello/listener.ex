defmodule Hello.Listener do
  @moduledoc "Accepts connections, and hands each to a task of `Hello.Requests`."
  use GenServer

  def start_link(options), do: GenServer.start_link(__MODULE__, options, name: __MODULE__)

  @doc "Connections that are open already go on."
  def stop_accepting, do: GenServer.call(__MODULE__, :stop_accepting)

  @impl true
  def init(port: port) do
    options = [:inet6, :binary, packet: :http_bin, active: false, reuseaddr: true, backlog: 1024]

    with {:ok, socket} <- :gen_tcp.listen(port, options) do
      {:ok, _} = Task.start_link(fn -> accept(socket) end)
      {:ok, socket}
    else
      {:error, reason} -> {:stop, {:listen, port, reason}}
    end
  end

  @impl true
  def handle_call(:stop_accepting, _from, socket), do: {:reply, :gen_tcp.close(socket), socket}

  defp accept(listener) do
    case :gen_tcp.accept(listener) do
      {:ok, socket} ->
        {:ok, task} = Task.Supervisor.start_child(Hello.Requests, Hello.Request, :serve, [])
        :ok = :gen_tcp.controlling_process(socket, task)
        send(task, {:serve, socket})
        accept(listener)

      {:error, :closed} ->
        :ok
    end
  end
end
