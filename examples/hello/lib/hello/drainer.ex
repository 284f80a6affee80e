defmodule Hello.Drainer do
  @moduledoc "Holds shutdown until the requests that are open have been answered."
  use GenServer, shutdown: 30_000

  def start_link(_), do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    {:ok, nil}
  end

  @impl true
  def terminate(_reason, nil) do
    Hello.Listener.stop_accepting()

    for request <- Task.Supervisor.children(Hello.Requests) do
      monitor = Process.monitor(request)
      receive do: ({:DOWN, ^monitor, _, _, _} -> :ok)
    end
  end
end
