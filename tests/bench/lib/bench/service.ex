defmodule Bench.Service do
  @moduledoc "What becomes of what a service says, by a systemd of its own."
  alias Bench.{Programs, Row}

  @line 1_000_000
  @millis_of_drain 4000

  # These figures are far from their bars, and one round takes half a minute.
  def rows(_) do
    Programs.install_hex()
    results = Bench.alternating(1, %{ours: :ours, hex: :hex}, &measure/1)

    for {key, work, unit, bar} <- [
          {:stop, "init:stop() with a drain of 4 s: deactivating after", "ms",
           {:at_most, :ours, 300}},
          {:late, "a timer is late by, 99 of 100, journald frozen under 5,000 lines/s", "ms",
           {:at_most, :ours, 5}},
          {:line, "one log line of 1 MB", "stored", {:always, :ours, 1}},
          {:status, "STATUS= with a newline in it", "arrived", {:always, :ours, 1}},
          {:name, "a descriptor's name, over a restart", "kept", {:always, :ours, 1}}
        ] do
      figures = Map.new(results, fn {who, rounds} -> {who, Enum.map(rounds, & &1[key])} end)
      %Row{work: work, unit: unit, figures: figures, bars: [bar]}
    end
  end

  defp measure(whose) do
    unit = start(whose)

    try do
      said = %{status: status(unit), line: line(unit), late: late(unit)}
      Map.merge(said, %{name: name(unit), stop: stop(unit)})
    after
      Lab.run("systemctl", ["stop", unit])
    end
  end

  defp start(whose) do
    name = "bench-#{whose}"
    options = [code: Programs.in_lab(whose), service: ["FileDescriptorStoreMax=8"]]
    text = Lab.service(name, [{:drain, @millis_of_drain}, :ready], options)
    File.write!(Lab.path("/etc/lab/units/#{name}.service"), text)
    Lab.systemctl!(["start", "#{name}.service"])
    "#{name}.service"
  end

  defp status(unit) do
    Lab.ask(unit, ~S|systemd:notify({status, "two\nlines"})|)
    Process.sleep(300)
    count(Lab.show(unit, "StatusText") == "two lines")
  end

  defp line(unit) do
    Lab.ask(unit, "logger:add_handler(bench, systemd_journal_h, \#{})")
    Lab.ask(unit, "logger:notice(binary:copy(<<$a>>, #{@line}))")
    Process.sleep(300)
    {_, 0} = Lab.run("journalctl", ["--sync"])

    script =
      "journalctl -q -a -o cat _PID=#{Lab.show(unit, "MainPID")} | awk 'length >= #{@line}' | wc -l"

    {lines, 0} = Lab.run("sh", ["-c", script])
    count(String.trim(lines) != "0")
  end

  # With the handler that line/1 has added.
  defp late(unit) do
    journald = Lab.show("systemd-journald.service", "MainPID")

    flood =
      Task.async(fn -> Lab.eval(unit, ~S|live_flood:steady("frozen", 50, 5000, 6)|, 60_000) end)

    Process.sleep(1000)
    {_, 0} = Lab.run("kill", ["-STOP", journald])

    try do
      late = Lab.eval(unit, "live_flood:lateness(4)", 60_000)
      Enum.at(late, floor(length(late) * 0.99)) / 1000
    after
      {_, 0} = Lab.run("kill", ["-CONT", journald])
      Task.await(flood, 60_000)
    end
  end

  defp name(unit) do
    store =
      "{ok, Socket} = gen_udp:open(0), {ok, Fd} = inet:getfd(Socket), systemd:store_fds([{Fd, bench}])"

    Lab.ask(unit, store)
    Process.sleep(300)
    Lab.systemctl!(["restart", unit])
    fds = Lab.eval(unit, "systemd:listen_fds()")
    count(Enum.any?(fds, &match?({_, ~c"bench"}, &1)))
  end

  defp stop(unit) do
    {millis, _} =
      Lab.timed(fn ->
        Lab.ask(unit, "init:stop()")
        Lab.await("no longer active", fn -> Lab.show(unit, "ActiveState") != "active" end)
      end)

    millis
  end

  defp count(true), do: 1
  defp count(false), do: 0
end
