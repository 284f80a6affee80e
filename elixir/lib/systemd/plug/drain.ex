defmodule Systemd.Plug.Drain do
  @moduledoc """
  A plug that closes keep-alive connections in a shutdown, so that clients lose no request.

      plug Systemd.Plug.Drain

  Put it first in the router or the endpoint. While the service stops, the plug adds `connection: close` to each
  response. The client then sends its next request over a new connection, which the next process of the service
  accepts: see `Systemd.drainer/2`.

  The plug does not change HTTP/2 connections, and does nothing outside of systemd. docs/restarts.md says how servers
  end HTTP/2 connections.
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
