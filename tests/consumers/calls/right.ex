defmodule Right do
  @moduledoc "Calls as a user writes them, of which Dialyzer has nothing to say: see tests/dialyzer."

  def children do
    [
      Systemd.set_status(up: [status: "up"], down: [status: "draining"]),
      :systemd.set_status(down: [status: "draining"]),
      Systemd.status_every(5_000, fn -> "#{:erlang.system_info(:process_count)} processes" end),
      Systemd.extend_timeout_while_stopping(limit: 600_000, status: "draining"),
      Systemd.ready(),
      :systemd.ready()
    ]
  end

  def notifications do
    :ok = Systemd.notify([:ready, status: "serving", x_users: 7])

    with :ok <- Systemd.notify(status: "1 user"),
         {:error, reason} <- Systemd.barrier(1000),
         do: reason
  end

  def sockets do
    {:ok, port, options} = Systemd.listen_opts("http", 4000)
    {:ok, socket} = :gen_tcp.listen(port, options ++ [:binary, active: false])
    :ok = Systemd.store_fds([{socket, "listener"}])
    {:ok, secret} = Systemd.read_credential("secret")
    byte_size(secret)
  end

  def watchdog, do: Systemd.watchdog(:trigger)
end
