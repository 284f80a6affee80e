defmodule NotStartedTest do
  @moduledoc "The application systemd is missing in the service's .app.src, or is an included one of it."
  use ExUnit.Case, async: true

  defp start(name, eval) do
    erl = "/usr/bin/erl -noinput -pa /srv/systemd/ebin /srv/live/ebin -eval '#{eval}'"
    unit = Lab.write_unit("#{name}.service", Lab.unit(erl))
    {Lab.run("systemctl", ["start", unit]), unit}
  end

  @tree "{ok, _} = supervisor:start_link({local, s}, live_service, [{set_status, [{up, {status, \"up\"}}]}, ready])"

  for {name, eval} <- [
        {"not-started", "application:load(systemd), #{@tree}"},
        {"included",
         "ok = application:load({application, including, [{included_applications, [systemd]}]}), " <>
           "ok = application:start(including), #{@tree}"}
      ] do
    test "#{name}: ready() is sent all the same, and the log says what to add where" do
      {{output, status}, unit} = start(unquote(name), unquote(eval))
      assert {status, output} == {0, ""}
      assert Lab.show(unit, "ActiveState") == "active"
      journal = Lab.journal(unit)

      assert journal =~
               "the application systemd is not running. Add systemd to applications in the"

      assert length(String.split(journal, "is not running")) == 2
      assert Lab.notifications(unit) == [["READY=1", "STATUS=ready"]]
    end
  end
end
