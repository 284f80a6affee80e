defmodule Hello.Request do
  @moduledoc "One request on one connection."

  require Logger

  @doc "Waits for a message with a socket, and answers the request on it."
  def serve do
    receive do
      {:serve, socket} ->
        with {:ok, {:http_request, method, {:abs_path, path}, _version}} <-
               :gen_tcp.recv(socket, 0, 5000),
             :ok <- skip_headers(socket) do
          request_id = Base.url_encode64(:rand.bytes(12))
          Logger.metadata(request_id: request_id)
          {status, body} = respond(String.split(path, "/", trim: true))
          :gen_tcp.send(socket, response(status, request_id, body))
          Logger.info("#{method} #{path}: #{status}")
        end

        :gen_tcp.close(socket)
    end
  end

  defp respond([]), do: {"200 OK", Application.fetch_env!(:hello, :greeting)}

  defp respond(["wait", seconds]) do
    Process.sleep(String.to_integer(seconds) * 1000)
    {"200 OK", "hello, after #{seconds} s\n"}
  end

  defp respond(["sick"]) do
    Hello.Health.fall_ill()
    {"200 OK", "feeling sick\n"}
  end

  defp respond(_path), do: {"404 Not Found", "not found\n"}

  defp skip_headers(socket) do
    case :gen_tcp.recv(socket, 0, 5000) do
      {:ok, :http_eoh} -> :ok
      {:ok, {:http_header, _, _, _, _}} -> skip_headers(socket)
      other -> other
    end
  end

  defp response(status, request_id, body) do
    "HTTP/1.1 #{status}\r\ncontent-type: text/plain\r\nconnection: close\r\n" <>
      "x-request-id: #{request_id}\r\ncontent-length: #{byte_size(body)}\r\n\r\n#{body}"
  end
end
