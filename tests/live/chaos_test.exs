defmodule ChaosTest do
  @moduledoc "The application under a service that must not notice: parts of it killed, and replaced."
  use ExUnit.Case, async: true

  @service ["WatchdogSec=1", "Restart=on-failure", "RestartSec=500ms"]

  # What a process that was killed had is gone with its last garbage. With the first line the journal is connected.
  defp held(unit) do
    Lab.eval(unit, "logger:notice(\"held\"), [erlang:garbage_collect(P) || P <- processes()], ok")
    {Lab.show(unit, "MainPID"), Lab.count(unit, "fd"), Lab.count(unit, "task")}
  end

  defp assert_works(unit) do
    text = "number #{System.unique_integer()}"
    assert Lab.eval(unit, ~s|systemd:notify({status, "#{text}"})|) == :ok
    assert Lab.eval(unit, "systemd:barrier()") == :ok
    assert Lab.show(unit, "StatusText") == text
    Lab.eval(unit, ~s|logger:error("#{text}")|)
    # journalctl of systemd 262 leaves out a file to which journald is just writing.
    Lab.await("its entry", fn -> Lab.entries(unit, "cat", ["PRIORITY=3"]) =~ text end)
    assert Lab.eval(unit, "systemd:watchdog(state)") == 1000
    assert {Lab.show(unit, "ActiveState"), Lab.show(unit, "NRestarts")} == {"active", "0"}
  end

  defp assert_unharmed(unit, before) do
    assert_works(unit)
    # Longer than an unwatched service would live.
    Process.sleep(2500)
    assert_works(unit)
    # A thread that waited for the journal ends a second later.
    Lab.await("what was there before", fn -> held(unit) == before end)
  end

  defp start(name),
    do: Lab.start_service(name, [:ready], service: @service, env: [install_journal: true])

  test "children of its supervisor killed in any order and number, for 10 s: watched throughout, nothing left" do
    unit = start("chaos")
    :ok = Lab.eval(unit, "application:set_env(systemd, reload, {timer, sleep, [20]})")
    before = held(unit)

    killed =
      Lab.eval(unit, """
      Children = fun() -> [Pid || {_, Pid, _, _} <- supervisor:which_children(systemd_sup), is_pid(Pid)] end,
      Until = erlang:monotonic_time(millisecond) + 10000,
      Kill = fun Kill(Count) ->
        case erlang:monotonic_time(millisecond) < Until of
          true ->
            Victims = [Pid || Pid <- Children(), rand:uniform(2) =:= 1],
            [exit(Pid, kill) || {_, Pid} <- lists:sort([{rand:uniform(), Pid} || Pid <- Victims])],
            systemd:notify({status, integer_to_list(Count)}),
            gen_event:notify(erl_signal_server, sighup),
            timer:sleep(rand:uniform(100)),
            Kill(Count + length(Victims));
          false -> Count
        end
      end,
      Kill(0)
      """)

    assert is_integer(killed), Lab.journal(unit)
    Lab.await("the end of the last reload", fn -> Lab.show(unit, "ActiveState") == "active" end)
    assert_unharmed(unit, before)

    IO.puts(
      "#{killed} children killed in 10 s: no restart; pid, descriptors, threads #{inspect(before)} still"
    )
  end

  test "code:load_file(systemd_nif) a hundred times: notifications, watchdog and journal go on" do
    unit = start("load-file")
    before = held(unit)

    for _ <- 1..10 do
      load =
        "[begin code:purge(systemd_nif), {module, _} = code:load_file(systemd_nif) end || _ <- lists:seq(1, 10)]"

      assert length(Lab.eval(unit, load)) == 10
      assert_works(unit)
    end

    assert_unharmed(unit, before)
  end

  test "an appup to the next version and back, by release_handler: notifications, watchdog and journal go on" do
    unit = start("appup")
    next = next_version("/srv/next/systemd-99.0.0")
    # The first use of release_handler loads what stays.
    :ok = Lab.eval(unit, "{ok, _} = application:ensure_all_started(sasl), ok")
    before = held(unit)

    for _ <- 1..3 do
      assert {:ok, []} = Lab.eval(unit, "release_handler:upgrade_app(systemd, \"#{next}\")")
      assert Lab.eval(unit, "element(2, application:get_key(systemd, vsn))") == ~c"99.0.0"
      assert Lab.eval(unit, "code:priv_dir(systemd)") == String.to_charlist("#{next}/priv")
      assert_works(unit)
      Process.sleep(1500)
      assert_works(unit)

      old =
        Lab.eval(
          unit,
          "release_handler:downgrade_app(systemd, \"#{this_version()}\", \"/srv/systemd\")"
        )

      assert {:ok, []} = old
      assert_works(unit)
    end

    assert_unharmed(unit, before)
  end

  defp this_version do
    {:ok, [{:application, :systemd, properties}]} =
      :file.consult(Lab.path("/srv/systemd/ebin/systemd.app"))

    to_string(properties[:vsn])
  end

  # The same code under another number, with an appup that loads all of it anew.
  defp next_version(folder) do
    Lab.copy(Lab.path("/srv/systemd"), folder)
    app = Lab.path("#{folder}/ebin/systemd.app")
    {:ok, [{:application, :systemd, properties}]} = :file.consult(app)
    next = {:application, :systemd, Keyword.put(properties, :vsn, ~c"99.0.0")}
    File.write!(app, :io_lib.format("~0tp.~n", [next]))
    beams = Path.wildcard(Lab.path("#{folder}/ebin/systemd*.beam"))

    load =
      for beam <- beams, do: {:load_module, beam |> Path.basename(".beam") |> String.to_atom()}

    appup = {~c"99.0.0", [{properties[:vsn], load}], [{properties[:vsn], load}]}
    File.write!(Lab.path("#{folder}/ebin/systemd.appup"), :io_lib.format("~0tp.~n", [appup]))
    folder
  end
end
