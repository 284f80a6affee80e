defmodule ActivationTest do
  @moduledoc "Services that are started by the first connection."
  use ExUnit.Case, async: true

  # Name, lines of the socket unit, and how a client in the lab reaches it.
  @sockets [
    {"v4", ["ListenStream=127.0.0.1:5001"], "/dev/tcp/127.0.0.1/5001"},
    {"v6", ["ListenStream=[::1]:5002", "BindIPv6Only=ipv6-only"], "/dev/tcp/::1/5002"},
    {"dual", ["ListenStream=5003"], "/dev/tcp/127.0.0.1/5003"},
    {"unix", ["ListenStream=/run/live/activated.sock"], :unix},
    {"abstract", ["ListenStream=@activated"], {"SOCK_STREAM", "\\0activated"}},
    {"udp4", ["ListenDatagram=127.0.0.1:5004"], "/dev/udp/127.0.0.1/5004"},
    {"udp6", ["ListenDatagram=[::1]:5005"], "/dev/udp/::1/5005"},
    {"dgram", ["ListenDatagram=/run/live/datagrams.sock"],
     {"SOCK_DGRAM", "/run/live/datagrams.sock"}},
    {"seq", ["ListenSequentialPacket=/run/live/packets.sock"],
     {"SOCK_SEQPACKET", "/run/live/packets.sock"}}
  ]

  # Says a line, and returns the answer.
  defp ask(:unix), do: ask_unix("/run/live/activated.sock")

  # A client that has an address too, which an answer to a datagram needs.
  defp ask({type, address}) do
    script = """
    import socket
    s = socket.socket(socket.AF_UNIX, socket.#{type})
    s.settimeout(20)
    s.bind("\\0client")
    s.connect("#{address}")
    s.sendall(b"hi\\n")
    print(s.recv(100).decode(), end="")
    """

    run("python3", ["-c", script])
  end

  defp ask(device),
    do: run("bash", ["-c", "exec 3<>#{device} && echo hi >&3 && head -n1 <&3"])

  defp ask_unix(path) do
    socket = Lab.connect(path)
    :ok = :gen_tcp.send(socket, "hi\n")
    {:ok, line} = :gen_tcp.recv(socket, 0, 20_000)
    :gen_tcp.close(socket)
    line
  end

  defp run(command, args) do
    {line, 0} = Lab.run("timeout", ["20", command | args])
    line
  end

  test "each family and type of socket starts the service, and is answered by its name" do
    names = for {name, _, _} <- @sockets, do: name
    children = for name <- names, do: {:answer, String.to_charlist(name)}
    sockets = for name <- names, do: "#{name}.socket"

    unit =
      Lab.write_service("activated", children ++ [:ready],
        service: ["Sockets=#{Enum.join(sockets, " ")}", "[Unit]", "StartLimitIntervalSec=0"]
      )

    for {name, lines, _} <- @sockets do
      Lab.write_socket(name, ["Service=activated.service", "FileDescriptorName=#{name}" | lines])
    end

    Lab.systemctl!(["start" | sockets])

    for {name, _, client} <- @sockets do
      assert Lab.show(unit, "MainPID") == "0"
      assert ask(client) == "#{name}: hi\n"
      Lab.await_property(unit, "ActiveState", "active")
      Lab.systemctl!(["kill", "--signal=KILL", unit])
      Lab.await_property(unit, "ActiveState", "failed")
    end

    for {name, _, client} <- @sockets, do: assert(ask(client) == "#{name}: hi\n")
    assert ask("/dev/tcp/::1/5003") == "dual: hi\n"

    {fds, given} = Enum.unzip(Lab.eval(unit, "systemd:listen_fds()"))
    assert fds == Enum.to_list(3..11)
    assert given |> Enum.map(&to_string/1) |> Enum.sort() == Enum.sort(names)
  end
end
