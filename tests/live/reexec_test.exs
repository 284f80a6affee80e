defmodule ReexecTest do
  @moduledoc "The manager is executed anew, or reads its units again, which every other test would notice."
  use ExUnit.Case

  for command <- ["daemon-reexec", "daemon-reload"] do
    test "notifications still arrive after #{command}" do
      unit = Lab.start_service(unquote(command), [:ready], service: ["WatchdogSec=2"])
      Lab.systemctl!([unquote(command)])
      assert Lab.eval(unit, ~S|systemd:notify({status, "still here"}), systemd:barrier()|) == :ok
      assert Lab.show(unit, "StatusText") == "still here"
      # Pings arrive as well.
      Process.sleep(5000)

      assert %{"ActiveState" => "active", "NRestarts" => "0"} =
               Lab.show_all(unit, ["ActiveState", "NRestarts"])
    end
  end

  test "what is stored outlives daemon-reexec, and then a restart" do
    unit = Lab.start_service("stored-reexec", [:ready], service: ["FileDescriptorStoreMax=8"])

    assert Lab.eval(unit, """
           ok = systemd:store_term(state, 17),
           ok = systemd:store_fds([{S, kept} || S <- live_sockets:sockets(1)]),
           systemd:barrier()
           """) == :ok

    Lab.systemctl!(["daemon-reexec"])
    assert Lab.show(unit, "NFileDescriptorStore") == "2"
    Lab.systemctl!(["restart", unit])
    assert Lab.eval(unit, "systemd:fetch_term(state)") == {:ok, 17}
    assert Lab.eval(unit, "[N || {_, N} <- systemd:listen_fds()]") == [~c"state", ~c"kept"]
  end
end
