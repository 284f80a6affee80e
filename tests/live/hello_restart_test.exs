defmodule HelloRestartTest do
  @moduledoc "examples/hello behind its socket unit: started by a connection, redeployed under load."
  use ExUnit.Case

  @clients 32
  @restarts 10

  setup_all do
    Lab.copy(Lab.hello(), "/opt/hello")
    {:ok, systemd: Path.expand("../../examples/hello/systemd", __DIR__)}
  end

  defp write(systemd, units),
    do: for(unit <- units, do: Lab.write_unit(unit, File.read!(Path.join(systemd, unit))))

  test "ten restarts under load: not one request is lost", %{systemd: systemd} do
    write(systemd, ["hello.service", "hello.socket"])
    Lab.systemctl!(["start", "hello.socket"])
    assert Lab.show("hello.service", "ActiveState") == "inactive"

    stop = "/run/live/stop"
    File.mkdir_p!(Lab.path("/run/live"))
    File.rm(Lab.path(stop))
    call = "live_load:main(4000, #{@clients}, \"#{stop}\")"
    args = ["-noinput", "-pa", "/srv/live/ebin", "-eval", call]
    load = Task.async(fn -> Lab.run("erl", args) end)

    # Their first connection starts it.
    Lab.await_property("hello.service", "ActiveState", "active")
    started = System.monotonic_time(:millisecond)

    pids =
      for _ <- 1..@restarts do
        # Under load again, whatever the last restart left waiting.
        Process.sleep(300)
        Lab.systemctl!(["restart", "hello.service"])
        Lab.show("hello.service", "MainPID")
      end

    Process.sleep(300)
    millis = System.monotonic_time(:millisecond) - started
    File.write!(Lab.path(stop), "")
    {output, 0} = Task.await(load, 60_000)
    {:ok, tokens, _} = :erl_scan.string(String.to_charlist(output))
    {:ok, {answered, slow, failures}} = :erl_parse.parse_term(tokens)

    IO.puts(
      "#{@restarts} restarts in #{millis} ms, #{@clients} clients: " <>
        "#{answered} requests and #{slow} of 1 s answered, #{length(failures)} failed"
    )

    assert pids |> Enum.uniq() |> length() == @restarts
    assert failures == []
    assert answered > 1000 and slow > 0
    assert Lab.show("hello.service", "Result") == "success"
    assert Lab.show("hello.service", "NRestarts") == "0"
  end
end
