defmodule Hello.Listener do
  @moduledoc """
  Accepts connections, and passes each to a task of `Hello.Requests`.

  It listens on the socket of `systemd/hello.socket` if systemd has passed it, or else on a port.
  """
  use Task, restart: :permanent

  def start_link(port: port) do
    {:ok, port, options} = Systemd.listen_opts("http", port)
    more = [:inet6, :binary, packet: :http_bin, active: false, reuseaddr: true, backlog: 4096]

    with {:ok, listener} <- :gen_tcp.listen(port, options ++ more) do
      {:ok, acceptor} = Task.start_link(fn -> receive do: (:accept -> accept(listener)) end)
      :ok = :gen_tcp.controlling_process(listener, acceptor)
      send(acceptor, :accept)
      {:ok, acceptor}
    else
      {:error, reason} -> {:error, {:listen, port, reason}}
    end
  end

  defp accept(listener) do
    {:ok, socket} = :gen_tcp.accept(listener)
    {:ok, task} = Task.Supervisor.start_child(Hello.Requests, Hello.Request, :serve, [])
    :ok = :gen_tcp.controlling_process(socket, task)
    send(task, {:serve, socket})
    accept(listener)
  end
end
