defmodule LimitsTest do
  @moduledoc "No call raises, nor takes the service down, where no descriptor, thread or process is to be had."
  use ExUnit.Case, async: true

  @not_called [module_info: 0, module_info: 1]

  for {what, option, errno, setting} <- [
        {"descriptor", "nofile", "emfile", "LimitNOFILE="},
        {"thread or process", "nproc", "eagain", "TasksMax="}
      ] do
    test "no #{what}: every public function returns, and the doctor says which setting it is" do
      {option, errno, setting} = {unquote(option), unquote(errno), unquote(setting)}
      # The kernel holds every user but root to it.
      File.mkdir_p!(Lab.path("/run/live"))
      File.chmod!(Lab.path("/run/live"), 0o1777)

      unit =
        Lab.start_service("limits-#{option}", [:ready],
          service: ["User=nobody", "WatchdogSec=60", "FileDescriptorStoreMax=10"],
          env: [reload: {:erlang, :date, []}]
        )

      go = "/run/live/limits-#{option}.go"
      assert Lab.eval(unit, ~s|live_limits:prepare("#{go}")|) == :ok
      limit = if option == "nofile", do: Lab.count(unit, "fd"), else: 1
      set_limit(unit, option, limit)
      File.write!(Lab.path(go), "")
      # The answers are fetched over a connection.
      Process.sleep(3000)
      set_limit(unit, option, 500)
      results = Lab.eval(unit, "persistent_term:get(live_limits)")

      assert for(
               {call, result} <- results,
               not match?({:returned, _}, result),
               do: {call, result}
             ) == []

      assert Lab.eval(unit, "systemd:module_info(exports)") |> Enum.sort() ==
               Enum.sort(Enum.map(results, &elem(&1, 0)) ++ @not_called)

      assert Lab.show(unit, "ActiveState") == "active"

      assert Lab.journal(unit) =~
               ~r/warning: systemctl could not be started: .*#{errno}.*#{setting}/
    end
  end

  test "no thread for a moment: the watchdog has its own afterwards" do
    File.mkdir_p!(Lab.path("/run/live"))
    File.chmod!(Lab.path("/run/live"), 0o1777)

    unit =
      Lab.start_service("limits-threads", [:ready], service: ["User=daemon", "WatchdogSec=2"])

    set_limit(unit, "nproc", 1, "daemon", "daemon")
    assert :ok = Lab.eval(unit, "exit(whereis(systemd_watchdog), kill), timer:sleep(500)")
    set_limit(unit, "nproc", 500, "daemon", "daemon")
    Process.sleep(4000)

    assert Lab.show_all(unit, ["ActiveState", "NRestarts"]) ==
             %{"ActiveState" => "active", "NRestarts" => "0"}

    assert Lab.journal(unit) =~
             ~r/the watchdog's thread could not be started, .*eagain.*TasksMax=/
  end

  # As the user of the service, to whom alone it is allowed. The VM starts programs by a process of its own.
  defp set_limit(unit, option, limit, user \\ "nobody", group \\ "nogroup") do
    pid = Lab.show(unit, "MainPID")
    {children, 0} = Lab.run("cat", ["/proc/#{pid}/task/#{pid}/children"])

    for process <- [pid | String.split(children)] do
      limited = ["prlimit", "--pid", process, "--#{option}=#{limit}:"]

      {_, 0} =
        Lab.run("setpriv", ["--reuid=#{user}", "--regid=#{group}", "--clear-groups" | limited])
    end
  end
end
