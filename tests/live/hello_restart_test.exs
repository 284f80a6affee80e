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
    # systemctl restart counts as well.
    drop_ins = Lab.path("/etc/lab/units/hello.service.d")
    File.mkdir_p!(drop_ins)
    on_exit(fn -> File.rm_rf!(drop_ins) end)
    File.write!("#{drop_ins}/limit.conf", "[Unit]\nStartLimitIntervalSec=0\n")
    Lab.systemctl!(["daemon-reload"])
    Lab.systemctl!(["start", "hello.socket"])
    assert Lab.show("hello.service", "ActiveState") == "inactive"

    {{millis, pids}, answered, _} =
      Load.during("Hello, #{@restarts} restarts", 4000, @clients, fn ->
        # Their first connection starts it.
        Lab.await_property("hello.service", "ActiveState", "active")
        started = System.monotonic_time(:millisecond)
        pids = Load.restarts("hello.service", @restarts)
        Process.sleep(300)
        {System.monotonic_time(:millisecond) - started, pids}
      end)

    IO.puts("They took #{millis} ms")
    assert pids |> Enum.uniq() |> length() == @restarts
    assert answered > 1000
    assert Lab.show("hello.service", "Result") == "success"
    assert Lab.show("hello.service", "NRestarts") == "0"
  end
end
