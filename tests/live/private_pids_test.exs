defmodule PrivatePidsTest do
  @moduledoc "PrivatePIDs=yes: the VM is process 1, and the manager's variables have a number from outside."
  use ExUnit.Case, async: true

  # Before systemd 257 there is no such setting: a namespace by unshare(1), which the manager takes for the service.
  defp write(name, service) do
    if Lab.systemd_version() >= 257 do
      Lab.write_service(name, [:ready], service: ["PrivatePIDs=yes" | service])
    else
      unit = Lab.write_service(name, [:ready], service: ["NotifyAccess=all" | service])
      path = Lab.path("/etc/lab/units/#{unit}")
      unshare = "ExecStart=/usr/bin/unshare --pid --fork --mount-proc --kill-child=KILL "
      Lab.write_unit(unit, String.replace(File.read!(path), "ExecStart=", unshare))
    end
  end

  test "is watched, and takes over what was stored" do
    unit =
      write("private-pids", [
        "WatchdogSec=2",
        "Restart=on-failure",
        "FileDescriptorStoreMax=4"
      ])

    Lab.systemctl!(["start", unit])
    assert Lab.eval(unit, "os:getpid()") == ~c"1"
    assert Lab.eval(unit, "systemd:watchdog(state)") == 2000
    Process.sleep(4500)

    assert Lab.show_all(unit, ["ActiveState", "NRestarts"]) == %{
             "ActiveState" => "active",
             "NRestarts" => "0"
           }

    assert Lab.eval(unit, "systemd:store_term(kept, {its, value})") == :ok
    assert Lab.eval(unit, "systemd:barrier()") == :ok
    Lab.systemctl!(["restart", unit])
    assert Lab.eval(unit, "systemd:fetch_term(kept)") == {:ok, {:its, :value}}
    refute Lab.journal(unit) =~ "systemd: "
  end
end
