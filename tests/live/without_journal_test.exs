defmodule WithoutJournalTest do
  @moduledoc "systemd_journal_h as kernel's default handler: the VM boots, runs and stops whatever the journal does."
  use ExUnit.Case, async: true

  # What is logged from the first line of the VM on, to a handler that kernel itself adds.
  defp write_unit(name, code, service) do
    handler = ~S|[{handler,default,systemd_journal_h,#{config=>#{metadata=>scalars}}}]|

    eval =
      ~S|logger:error("early"), {ok, _} = application:ensure_all_started(systemd), | <>
        ~S|systemd:notify(ready), logger:warning("late ~p", [line])|

    erl = "/usr/bin/erl -noinput -pa #{code} -kernel logger '#{handler}' -eval '#{eval}'"
    Lab.write_unit("#{name}.service", Lab.unit(erl, service))
  end

  # Priority and text of what came by standard error.
  defp by_stderr(unit) do
    for line <- String.split(Lab.entries(unit, "json", ["_TRANSPORT=stdout"]), "\n", trim: true) do
      [_, priority] = Regex.run(~r/"PRIORITY":"(\d)"/, line)
      [_, text] = Regex.run(~r/"MESSAGE":"((?:[^"\\]|\\.)*)"/, line)
      {priority, text}
    end
  end

  test "journald's folder is not there in the unit: starts, says why, runs and stops" do
    unit =
      write_unit("no-socket", "/srv/systemd/ebin", ["InaccessiblePaths=/run/systemd/journal"])

    Lab.systemctl!(["start", unit])
    Lab.await("the last line", fn -> {"4", "late line"} in by_stderr(unit) end)
    assert [{"3", why}, {"3", "early"} | _] = by_stderr(unit)
    assert why =~ ~r/log handler default writes to standard error until .*: .*\(e[a-z]+\)/
    Lab.systemctl!(["stop", unit])
    assert Lab.show(unit, "Result") == "success"
    assert Lab.show(unit, "NRestarts") == "0"
  end

  test "the native library is not there: starts, says why, and runs" do
    Lab.copy(Lab.path("/srv/systemd/ebin"), "/srv/no-library/ebin")
    unit = write_unit("no-library", "/srv/no-library/ebin", ["Type=simple", "Restart=no"])
    Lab.systemctl!(["start", unit])
    Lab.await("the last line", fn -> {"4", "late line"} in by_stderr(unit) end)
    assert [{"3", why}, {"3", "early"} | _] = by_stderr(unit)

    assert why =~
             "log handler default writes to standard error: the native library is not loaded:"

    assert Lab.show(unit, "ActiveState") == "active"
    Lab.systemctl!(["stop", unit])
    assert Lab.show(unit, "Result") == "success"
  end

  test "journald is there: nothing goes to standard error" do
    unit = write_unit("with-socket", "/srv/systemd/ebin", [])
    Lab.systemctl!(["start", unit])

    Lab.await("the last line", fn ->
      Lab.entries(unit, "cat", ["_TRANSPORT=journal"]) =~ "late line"
    end)

    assert Lab.entries(unit, "cat", ["_TRANSPORT=journal", "PRIORITY=3"]) =~ "early"
    assert by_stderr(unit) == []
  end
end
