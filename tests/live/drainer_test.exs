defmodule DrainerTest do
  @moduledoc "systemd:drainer/1 on a descriptor that the service has taken by its number."
  use ExUnit.Case, async: true

  test "restarts in place of an idle service: its listener is back each time" do
    serve = ~c"""
    [{Fd, "number"}] = systemd:listen_fds(),
    Serve = fun Serve(Listener) ->
        {ok, Socket} = gen_tcp:accept(Listener),
        (fun Read() -> {ok, Line} = gen_tcp:recv(Socket, 0), Line =:= <<"\\r\\n">> orelse Read() end)(),
        ok = gen_tcp:send(Socket, "HTTP/1.1 200 OK\\r\\nconnection: close\\r\\n\\r\\nhello\\n"),
        ok = gen_tcp:close(Socket),
        Serve(Listener)
    end,
    spawn(fun() ->
        {ok, Listener} = gen_tcp:listen(0, [{fd, Fd}, binary, {packet, line}, {active, false}]),
        Serve(Listener)
    end).
    """

    children = [{:run, serve}, {:drainer, 3, []}, :ready]
    Lab.write_socket("number", ["ListenStream=127.0.0.1:8099", "FileDescriptorName=number"])
    unit = Lab.write_service("number", children)
    Lab.systemctl!(["start", "number.socket", unit])
    pid = Lab.show(unit, "MainPID")

    for life <- 1..3 do
      Lab.await("life #{life}", fn -> ready(unit) == life end)
      assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(8099, "/")
      Lab.eval(unit, "systemd:reload([])")
    end

    Lab.await("the last life", fn -> ready(unit) == 4 end)
    assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(8099, "/")
    assert Lab.show(unit, "MainPID") == pid
    assert Lab.notifications(unit) |> Enum.count(&(&1 == ["STATUS=drained"])) == 3
    refute Lab.journal(unit) =~ "not drained"
    refute Lab.journal(unit) =~ "no connection comes by"
  end

  defp ready(unit),
    do: unit |> Lab.notifications() |> Enum.count(&("READY=1" in &1))
end
