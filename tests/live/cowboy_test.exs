defmodule CowboyTest do
  @moduledoc "docs/cowboy.md, with the Cowboy that RabbitMQ comes with."
  use ExUnit.Case

  @clients 32
  @restarts 5

  test "five restarts under load: not one request is lost" do
    for name <- ["cowboy", "cowlib", "ranch"],
        [ebin] = Path.wildcard("#{Lab.rabbitmq()}/plugins/#{name}-*/ebin"),
        do: Lab.copy(ebin, "/srv/cowboy/#{name}")

    blocks = Guide.blocks("docs/cowboy.md")
    for %{name: "src/" <> file, text: text} <- blocks, do: compile(file, text)
    erlang = for %{language: "erlang", name: nil, text: text} <- blocks, do: text
    [listen] = for "{ok, Port" <> _ = text <- erlang, do: text

    # Beside what the guide has, something that takes a second.
    route = ~s({"/", my_handler, []})
    listen = String.replace(listen, route, ~s(#{route}, {"/wait/1", live_wait, []}))
    assert listen =~ "live_wait"

    children = [
      {:run, ~c"{ok, _} = application:ensure_all_started(cowboy)."},
      {:run, String.to_charlist(listen)},
      # By several names, as one: also by the port, where it is found once more when it was taken away.
      {:drainer, [:http, :http, {:port, 8088}], []},
      :ready
    ]

    code = for name <- ~w(cowboy cowlib ranch guide), do: "/srv/cowboy/#{name}"
    Lab.write_socket("cowboy", ["ListenStream=8088", "FileDescriptorName=http"])
    # systemctl restart counts as well.
    limit = ["[Unit]", "StartLimitIntervalSec=0"]

    unit =
      Lab.write_service("cowboy", children, code: ["/srv/systemd/ebin" | code], service: limit)

    Lab.systemctl!(["start", "cowboy.socket", unit])
    assert ["HTTP/1.1 200 OK" <> _, "hello\n"] = Lab.get(8088, "/")

    {pids, answered, _} =
      Load.during("Cowboy, #{@restarts} restarts", 8088, @clients, fn ->
        Load.restarts(unit, @restarts)
      end)

    assert pids |> Enum.uniq() |> length() == @restarts
    assert answered > 1000
    assert Lab.notifications(unit) |> Enum.count(&(&1 == ["STATUS=drained"])) == @restarts
    assert Lab.show(unit, "NRestarts") == "0"

    for options <- [[:keep_alive], [:keep_alive, pause: 50]] do
      {_, answered, _} =
        Load.during("Cowboy, #{@restarts} restarts", 8088, @clients, options, fn ->
          Load.restarts(unit, @restarts)
        end)

      assert answered > 1000
    end

    {pids, answered, _} =
      Load.during("Cowboy, 3 restarts in place", 8088, @clients, fn ->
        for _ <- 1..3 do
          Process.sleep(300)
          ready = Lab.notifications(unit) |> Enum.count(&("READY=1" in &1))
          Lab.eval(unit, "systemd:reload([])")

          Lab.await("a restart in place", 30_000, fn ->
            Lab.notifications(unit) |> Enum.count(&("READY=1" in &1)) > ready
          end)

          Lab.show(unit, "MainPID")
        end
      end)

    assert pids |> Enum.uniq() |> length() == 1
    assert answered > 1000
    assert Lab.notifications(unit) |> Enum.count(&(&1 == ["STATUS=drained"])) == 3 * @restarts + 3
  end

  defp compile(file, text) do
    path = Path.join(System.tmp_dir!(), file)
    File.write!(path, text)
    File.mkdir_p!(Lab.path("/srv/cowboy/guide"))
    assert {"", 0} = System.cmd("erlc", ["-o", Lab.path("/srv/cowboy/guide"), path])
    File.rm!(path)
  end
end
