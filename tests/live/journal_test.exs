defmodule JournalTest do
  @moduledoc "systemd_journal_h and systemd_kmsg_formatter against a real journald."
  use ExUnit.Case, async: true

  @journal [install_journal: true]

  # What journald stored of a unit under these matches, one line of JSON an entry.
  defp json(unit, matches),
    do: unit |> Lab.entries("json", matches) |> String.split("\n", trim: true)

  defp one(unit, matches) do
    assert [entry] = json(unit, matches)
    entry
  end

  test "install_journal: every event, with its level, its source and its metadata" do
    unit = Lab.start_service("journal", [:ready], env: @journal)

    assert Lab.eval(unit, "[M || \#{module := M} <- logger:get_handler_config()]") == [
             :systemd_journal_h
           ]

    log = "logger:warning(\"slow ~s\", [\"query\"], "

    meta =
      "\#{request_id => <<\"F8fjX2\">>, user => 7, mfa => {m, f, 1}, file => \"m.erl\", line => 3})"

    assert Lab.eval(unit, log <> meta) == :ok

    entry = one(unit, ["REQUEST_ID=F8fjX2"])

    for field <- [
          ~s("MESSAGE":"slow query"),
          ~s("PRIORITY":"4"),
          ~s("SYSLOG_IDENTIFIER":"erl"),
          ~s("SYSLOG_PID":"#{Lab.show(unit, "MainPID")}"),
          ~s("CODE_FILE":"m.erl"),
          ~s("CODE_LINE":"3"),
          ~s("CODE_MFA":"m:f/1"),
          ~s("USER":"7"),
          ~s("_TRANSPORT":"journal")
        ],
        do: assert(entry =~ field)

    assert entry =~ ~r/"ERL_PID":"<0\.\d+\.0>"/
    assert entry =~ ~r/"SYSLOG_TIMESTAMP":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"/
    assert [_] = json(unit, ["USER=7", "PRIORITY=4"])
    assert [] = json(unit, ["USER=7", "PRIORITY=3"])
  end

  test "RestartMode=debug: the log level is debug after a failure" do
    # Before systemd 257 the variable comes from a file.
    debug =
      if Lab.systemd_version() >= 257,
        do: "RestartMode=debug",
        else: "EnvironmentFile=-/run/live/debug.env"

    unit =
      Lab.start_service("debug", [:ready], service: ["Restart=always", "RestartSec=0", debug])

    level = fn -> Lab.eval(unit, "maps:get(level, logger:get_primary_config())") end
    assert level.() == :notice
    File.write!(Lab.path("/run/live/debug.env"), "DEBUG_INVOCATION=1\n")
    Lab.systemctl!(["kill", "--signal=KILL", unit])

    Lab.await("the next start", fn ->
      Lab.show(unit, "NRestarts") == "1" and Lab.show(unit, "ActiveState") == "active"
    end)

    assert level.() == :debug
    assert Lab.eval(unit, "maps:get(debug_invocation, systemd:info())")
  end

  test "each type of a field's value, as journalctl -o json shows it" do
    unit = Lab.start_service("types", [:ready], env: [install_journal: [metadata: :all]])

    for {name, value, json} <- [
          {"a", ~s("string"), ~s("string")},
          {"b", ~s(<<"grüezi 🌍">>), ~s("grüezi 🌍")},
          {"c", ~s(atom), ~s("atom")},
          {"d", ~s('Elixir.My.Module'), ~s("My.Module")},
          {"e", ~s(-17), ~s("-17")},
          {"f", ~s(1.5), ~s("1.5")},
          {"g", ~s(1 bsl 70), ~s("1180591620717411303424")},
          {"h", ~s({tuple, "x"}), ~S("{tuple,\"x\"}")},
          {"i", ~s(\#{k => v}), ~s("\#{k => v}")},
          {"j", ~s([my, app]), ~s("[my,app]")},
          {"k", ~s("two\\nlines"), ~S("two\nlines")},
          {"l", ~s(<<1,0,255>>), ~s("<<1,0,255>>")},
          {"m", ~s("NUL\\0."), ~s("[78,85,76,0,46]")}
        ] do
      assert :ok = Lab.eval(unit, "logger:notice(\"type #{name}\", \#{#{name}_key => #{value}})")
      entry = one(unit, ["MESSAGE=type #{name}"])
      assert entry =~ ~s("#{String.upcase(name)}_KEY":#{json})
    end

    for {value, field} <- [{"self()", ~s("X":"<0.)}, {"make_ref()", ~s("X":"#Ref<)}] do
      assert :ok =
               Lab.eval(
                 unit,
                 "logger:notice(\"term\", \#{x => #{value}, n => #{byte_size(value)}})"
               )

      assert one(unit, ["MESSAGE=term", "N=#{byte_size(value)}"]) =~ field
    end
  end

  test "a message: unicode, NUL bytes, and many lines in one entry" do
    unit = Lab.start_service("messages", [:ready], env: @journal)

    for {n, message, json} <- [
          {1, ~s("grüezi 🌍"), ~s("grüezi 🌍")},
          {2, ~s("a\\0b"), ~s([97,0,98])},
          {3, ~s("one\\ntwo\\n\\nthree\\n"), ~S("one\ntwo\n\nthree")},
          {4, ~s("MESSAGE=x\\nPRIORITY=0"), ~S("MESSAGE=x\nPRIORITY=0")}
        ] do
      # The control socket takes Latin-1 source, hence the code points.
      assert :ok =
               Lab.eval(
                 unit,
                 "logger:notice(unicode:characters_to_list(list_to_binary(#{message})), \#{n => #{n}})"
               )

      entry = one(unit, ["N=#{n}"])
      assert entry =~ ~s("MESSAGE":#{json})
      assert entry =~ ~s("PRIORITY":"5")
    end
  end

  test "messages of 1 MB and of 20 MB arrive whole" do
    unit = Lab.start_service("large", [:ready], env: @journal)

    for size <- [1_000_000, 20_000_000] do
      assert Lab.eval(unit, """
             Large = binary:copy(<<"0123456789">>, #{div(size, 10)}),
             logger:notice("~s", [Large], \#{size => #{size}})
             """) == :ok

      {_, 0} = Lab.run("journalctl", ["--sync"])

      {output, 0} =
        Lab.run("bash", [
          "-c",
          "journalctl -q --all -o cat SIZE=#{size} | md5sum; ls /proc/#{Lab.show(unit, "MainPID")}/fd | wc -l"
        ])

      expected = String.duplicate("0123456789", div(size, 10)) <> "\n"
      sum = Base.encode16(:crypto.hash(:md5, expected), case: :lower)
      assert [^sum, "-", fds] = String.split(output)
      assert String.to_integer(fds) < 40
    end
  end

  test "reports: a map, and the crash of a gen_server with its stack" do
    unit = Lab.start_service("reports", [:ready], env: @journal)

    assert :ok =
             Lab.eval(unit, "logger:notice(\#{action => login, user => <<\"me\">>}, \#{n => 1})")

    # In any order: that of a map's atoms is undefined since OTP 26.
    assert [_, message] = Regex.run(~r/"MESSAGE":"((?:[^"\\]|\\.)*)"/, one(unit, ["N=1"]))

    assert message |> String.split("\\n") |> Enum.sort() == [
             "    action: login",
             ~S(    user: <<\"me\">>)
           ]

    assert Lab.eval(unit, """
           {ok, Pid} = gen_server:start({local, crasher}, live_service, crasher, []),
           gen_server:cast(Pid, {divide, 0})
           """) == :ok

    Lab.await("the crash", fn ->
      json(unit, ["CRASH_PROCESS=crasher", "CRASH_REASON=badarith"]) != []
    end)

    entries = json(unit, ["CRASH_PROCESS=crasher", "CRASH_REASON=badarith", "PRIORITY=3"])

    assert [entry] =
             Enum.filter(entries, &(&1 =~ ~s("MESSAGE":"** Generic server crasher terminating)))

    assert entry =~
             ~r/"CRASH_STACK":"erlang:div\/2\\nlive_service:handle_cast\/2 \([^)]*live_service\.erl:\d+\)\\ngen_server:/
  end

  test "install_kmsg: standard output with levels" do
    unit = Lab.start_service("kmsg", [:ready])
    assert :ok = Lab.eval(unit, "logger:error(\"one~ntwo\", [])")

    Lab.await("both lines", fn -> length(json(unit, ["_TRANSPORT=stdout", "PRIORITY=3"])) >= 2 end)

    entries = json(unit, ["_TRANSPORT=stdout", "PRIORITY=3"])
    assert Enum.any?(entries, &(&1 =~ ~s("MESSAGE":"two")))
    assert Enum.all?(entries, &(not (&1 =~ "<3>")))
  end

  test "install_journal: a log call that has begun with the handler before is not lost, and takes none away" do
    unit = Lab.start_service("begun", [:ready])

    assert Lab.eval(unit, """
           Self = self(),
           Slow = fun(Event, _) -> Self ! begun, timer:sleep(200), Event end,
           ok = logger:add_handler_filter(default, slow, {Slow, []}),
           spawn(fun() -> logger:notice("the line") end),
           receive begun -> ok end,
           application:set_env(systemd, install_journal, true),
           systemd_logger:install(),
           timer:sleep(300),
           [{Id, Module} || \#{id := Id, module := Module} <- logger:get_handler_config()]
           """) == [default: :systemd_journal_h]

    assert unit |> Lab.entries("cat") |> String.split("\n") |> Enum.count(&(&1 =~ "the line")) ==
             1
  end

  test "the application stops with lines in flight: none is lost" do
    unit = Lab.start_service("in-flight", [], env: @journal, service: ["Type=exec"])

    Lab.await("the service", fn -> File.exists?(Lab.path("/run/live/in-flight.control")) end)

    Lab.await("the application", fn ->
      Lab.eval(unit, "whereis(systemd_sup) =/= undefined andalso whereis(live_sup) =/= undefined")
    end)

    assert Lab.eval(unit, """
           spawn(fun() -> timer:sleep(50), application:stop(live), application:stop(systemd),
               timer:sleep(50), application:start(systemd) end),
           live_flood:flood("inflight", 10, 20000)
           """) > 0

    lines = unit |> Lab.entries("cat") |> String.split("\n")
    assert Enum.count(lines, &String.starts_with?(&1, "inflight ")) == 20_000
    assert Lab.eval(unit, "lists:keymember(systemd, 1, application:which_applications())")
  end
end
