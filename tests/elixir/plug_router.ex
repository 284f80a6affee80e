defmodule Plug.Router do
  @moduledoc "In the place of Plug's, as far as docs/plug.md goes: the package is not to be had for the tests."

  defmacro __using__(_) do
    quote do
      import Plug.Router
    end
  end

  defmacro plug(name), do: name

  defmacro get(path, do: block), do: route(path, block)
  defmacro match(pattern, do: block), do: route(pattern, block)

  defp route(path, block) do
    quote do
      def unquote(:"route #{Macro.to_string(path)}")(var!(conn)), do: unquote(block)
    end
  end

  def send_resp(conn, status, body), do: {conn, status, body}
end

defmodule Plug.Conn do
  @moduledoc "In the place of Plug's, as far as Systemd.Plug.Drain goes."
  defstruct protocol: :"HTTP/1.1", headers: [], before_send: nil

  def register_before_send(conn, fun), do: %{conn | before_send: fun}
  def get_http_protocol(conn), do: conn.protocol
  def put_resp_header(conn, name, value), do: %{conn | headers: [{name, value} | conn.headers]}
end
