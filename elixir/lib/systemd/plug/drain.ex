defmodule Systemd.Plug.Drain do
  @moduledoc """
  A plug for keep-alive clients: they lose no request when the service goes down.

      plug Systemd.Plug.Drain

  Put it first in the router or the endpoint. From when shutdown begins, each answer says `connection: close`. The
  client sends its next request by a new connection, which the next process has: see `Systemd.drainer/2`.

  Over HTTP/2 it does nothing. How servers end those connections is in docs/restarts.md.
  """
  @compile {:no_warn_undefined, Plug.Conn}

  @doc false
  def init(options), do: options

  @doc false
  def call(conn, _options), do: Plug.Conn.register_before_send(conn, &close/1)

  defp close(conn) do
    if Systemd.is_stopping() and Plug.Conn.get_http_protocol(conn) != :"HTTP/2",
      do: Plug.Conn.put_resp_header(conn, "connection", "close"),
      else: conn
  end
end
