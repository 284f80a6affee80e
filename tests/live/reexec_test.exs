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
end
