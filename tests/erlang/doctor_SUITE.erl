%% Each rule with facts that it finds something in, and with such that it doesn't.
-module(doctor_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        rules, nothing_to_say, partial_facts, config_keys, default_config, unit_files, shells, shown, secrets, line_ends, unit_names,
        show_without_systemctl,
        level_prefix_of_a_unit_file, levels, prints
    ].

end_per_testcase(_, _) ->
    application:stop(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "JOURNAL_STREAM"]],
    ok.

%% Nothing to be said of it.
healthy() ->
    #{
        info => #{
            under_systemd => true, uptime => 12345, pid => 4711, unit => <<"a.service">>, error => false,
            announced => [ready], journal => #{default => journal(true)},
            watchdog => #{
                timeout => 2000, enabled => true, last_answer => 10, last_result => ok, last_duration => 999,
                overdue => false
            }
        },
        unit => #{
            "Type" => "notify", "NotifyAccess" => "main", "MainPID" => "4711", "WatchdogSec" => "2s",
            "Restart" => "on-failure", "KillMode" => "mixed", "MemoryDenyWriteExecute" => "no",
            "SyslogLevelPrefix" => "yes", "RuntimeDirectory" => "a b", "RuntimeDirectoryPreserve" => "no"
        },
        sockets => ["/run/a.sock", "/run/bc/sock"],
        secrets => [],
        config => [{install_journal, true}, {watchdog_check, {m, f, []}}],
        load_error => "",
        jit => true,
        levels => elsewhere
    }.

journal(IsReachable) -> #{path => <<"/run/j">>, reachable => IsReachable, sent => 1, dropped => 0}.

with(Changes) -> lists:foldl(fun with/2, healthy(), Changes).

with(strict, Facts) ->
    with({[unit, "ProtectSystem"], "strict"}, with({[unit, "ExecStart"], "/opt/a/bin/a start"}, Facts));
with({Path, Value}, Facts) ->
    put_in(Path, Value, Facts).

put_in([Key], Value, Map) -> Map#{Key => Value};
put_in([Key | Path], Value, Map) -> Map#{Key := put_in(Path, Value, maps:get(Key, Map))}.

findings(Facts) -> [{Severity, lists:flatten(Text)} || {Severity, Text} <- systemd_doctor_rules:findings(Facts)].

nothing_to_say(_) ->
    ?assertEqual([], findings(healthy())),
    [
        ?assertEqual({Changes, []}, {Changes, findings(with(Changes))})
     || Changes <- [
            [{[unit, "Type"], "notify-reload"}],
            [{[unit, "NotifyAccess"], "all"}, {[unit, "MainPID"], "1"}],
            [{[unit, "Restart"], "always"}],
            [{[unit, "Restart"], "on-watchdog"}],
            [{[unit, "KillMode"], "control-group"}],
            [{[unit, "MemoryDenyWriteExecute"], "yes"}, {[jit], false}],
            [{[info, watchdog, last_result], not_checked}],
            [{[levels], prefixed}],
            [{[levels], elsewhere}, {[unit, "SyslogLevelPrefix"], "no"}],
            [{[info, announced], [reloading]}],
            [{[info, announced], [stopping]}],
            [{[info, watchdog, enabled], false}],
            [{[unit, "RuntimeDirectoryPreserve"], "yes"}, {[sockets], ["/run/a/sock"]}],
            [{[unit, "TimeoutStopSec"], "30s"}],
            [{[unit, "TimeoutStopSec"], "1min 5s"}],
            [{[unit, "TimeoutStopSec"], "0s"}],
            [{[unit, "RestartSec"], "1s"}, {[unit, "StartLimitIntervalSec"], "10s"}],
            [{[unit, "RestartSec"], "100ms"}, {[unit, "StartLimitIntervalSec"], "0s"}],
            [{[unit, "RestartSec"], "100ms"}, {[unit, "Restart"], "no"}, {[unit, "WatchdogSec"], "0s"}, {[info, watchdog], #{}}],
            [{[unit, "LimitNOFILE"], "1025"}],
            [{[unit, "LimitNOFILE"], "infinity"}],
            [{[unit, "ExecStop"], "/bin/kill -TERM $MAINPID"}],
            [{[unit, "ExecReload"], "/bin/kill -HUP $MAINPID"}],
            [{[unit, "ExecReload"], "/bin/sh -c exec /opt/a/bin/a rpc :ok = Systemd.reload()"}],
            [{[unit, "ExecStartPost"], "/bin/touch /run/a\n/opt/a/bin/a rpc X.y()"}],
            [{[unit, "RemainAfterExit"], "no"}],
            [{[unit, "SuccessExitStatus"], "3 1430"}],
            [{[unit, "ProtectHome"], "yes"}, {[unit, "ExecStart"], "/opt/home/bin/a start"}],
            [{[unit, "ProtectHome"], "read-only"}, {[unit, "ExecStart"], "/home/a/bin/a start"}],
            [{[unit, "ProtectHome"], "tmpfs"}, {[unit, "BindReadOnlyPaths"], "/home/a"}, {[unit, "ExecStart"], "/home/a/bin/a start"}],
            [{[unit, "ExecStart"], "/bin/sh -c RELEASE_COOKIE=$$(cat %d/cookie) exec /opt/a/bin/a start"}],
            %% The VM has become the main process.
            [{[unit, "ExecStart"], "/bin/sh -c /opt/a/bin/a start"}],
            [{[unit, "ExecStart"], "/opt/a/bin/a start_iex"}, {[unit, "StandardInput"], "tty"}],
            [strict, {[unit, "Environment"], "RELEASE_TMP=/run/b/x"}],
            [strict, {[unit, "Environment"], "A=1 RELEASE_TMP=%t/b"}],
            [strict, {[unit, "Environment"], "RELEASE_TMP=/tmp/x"}, {[unit, "PrivateTmp"], "yes"}],
            [strict, {[unit, "Environment"], "RELEASE_TMP=/srv/x"}, {[unit, "ReadWritePaths"], "/var/x\n-/srv"}],
            [strict, {[unit, "Environment"], "RELEASE_TMP=/srv/x"}, {[unit, "BindPaths"], "/mnt:/srv:rbind"}],
            [strict, {[unit, "Environment"], "RELEASE_TMP=/srv/x"}, {[unit, "ReadWritePaths"], "/"}],
            %% No handler was asked for.
            [{[info, journal], #{}}, {[config], [{watchdog_check, {m, f, []}}]}],
            %% The service has no unit: it was started by hand, with a socket of its own.
            [{[unit], #{}}, {[info, unit], false}]
        ]
    ].

%% One thing wrong, one thing found, which names what to change.
rules(_) ->
    [
        ?assertMatch({Changes, [{Severity, _}], {match, _}}, found(Changes, Pattern))
     || {Severity, Pattern, Changes} <- [
            {error, "not loaded.*no such file.*priv/systemd_nif.so", [{[load_error], "no such file"}]},
            {error, "not started", [{[info, uptime], false}, {[info, under_systemd], false}]},
            {error, "NOTIFY_SOCKET=.*not an absolute path", [{[info, error], {invalid_notify_socket, <<"x">>}}]},
            {notice, "not under systemd", [{[info, under_systemd], false}, {[info, unit], false}, {[unit], #{}}]},
            {error, "NOTIFY_SOCKET was not set.*a.service needs Type=notify", [{[info, under_systemd], false}]},
            {error, "Type=simple.*Set Type=notify", [{[info, under_systemd], false}, {[unit, "Type"], "simple"}]},
            {error, "Type=exec.*Set Type=notify", [{[unit, "Type"], "exec"}]},
            {notice, "systemctl can't be run.*Type=.*not checked", [{[unit], unknown}]},
            {error, "Type=exec: .*READY=1, and .*NotifyAccess=none.*Set Type=notify", [
                {[unit, "Type"], "exec"}, {[unit, "NotifyAccess"], "none"}
            ]},
            {error, "NotifyAccess=main.*process 4711.*main process is 1\\..*exec.*NotifyAccess=all", [{[unit, "MainPID"], "1"}]},
            {error, "NotifyAccess=exec.*NotifyAccess=all", [{[unit, "NotifyAccess"], "exec"}, {[unit, "MainPID"], "1"}]},
            {error, "no READY=1 .* 12 s.*systemd:ready", [{[info, announced], []}]},
            {notice, "no WatchdogSec=", [{[info, watchdog], false}, {[unit, "WatchdogSec"], "0"}]},
            {notice, "no WatchdogSec=", [{[info, watchdog], false}, {[unit, "WatchdogSec"], "infinity"}]},
            {notice, "no WatchdogSec=", [{[info, watchdog], false}, {[unit], #{}}]},
            {error, "WatchdogSec=2s, but.*exec", [{[info, watchdog], false}]},
            {notice, "no config key watchdog_check", [{[config], [{install_journal, true}]}]},
            {error, "overdue for 1200 ms.*watchdog_check", [{[info, watchdog, overdue], 1200}]},
            {error, "watchdog_check: x:y/0 returned false. Pings are withheld", [{[info, watchdog, last_result], <<"x:y/0 returned false">>}]},
            {warning, "took 1000 ms.*WatchdogSec= is 2000 ms", [{[info, watchdog, last_duration], 1000}]},
            {warning, "Restart=no:.*Set Restart=on-failure", [{[unit, "Restart"], "no"}]},
            {warning, "Restart=on-success:", [{[unit, "Restart"], "on-success"}]},
            {warning, "Restart=on-abort:", [{[unit, "Restart"], "on-abort"}]},
            {warning, "Restart=on-watchdog:", [
                {[unit, "Restart"], "on-watchdog"}, {[config], [{watchdog_check, {m, f, []}}, {watchdog_on_hang, abort}]}
            ]},
            {warning, "Restart=on-abnormal:", [
                {[unit, "Restart"], "on-abnormal"}, {[config], [{watchdog_check, {m, f, []}}, {watchdog_crash_dump, "/x"}]}
            ]},
            {error, "notify-reload with the config key handle_event.*262", [
                {[unit, "Type"], "notify-reload"}, {[config], [{watchdog_check, {m, f, []}}, {handle_event, false}]}
            ]},
            {warning, "KillMode=process", [{[unit, "KillMode"], "process"}]},
            {warning, "KillMode=none", [{[unit, "KillMode"], "none"}]},
            {error, "daemon .*background.*start.*foreground.*PIDFile=", [{[unit, "ExecStart"], "/opt/a/bin/a daemon"}]},
            {error, "daemon_iex ", [{[unit, "ExecStart"], "/bin/bash -lc exec /opt/a/bin/a daemon_iex"}]},
            {error, "start_iex: .*end of its input.*start", [{[unit, "ExecStart"], "/opt/a/bin/a start_iex"}]},
            {error, "console: .*end of its input", [{[unit, "ExecStart"], "/opt/a/bin/a console"}, {[unit, "StandardInput"], "null"}]},
            {notice, "mix phx.server.*MIX_ENV.*bin/my_app start", [{[unit, "ExecStart"], "/usr/bin/mix phx.server"}]},
            {warning, "ExecStop=.*SIGTERM.*cookie.*Remove", [{[unit, "ExecStop"], "/opt/a/bin/a stop"}]},
            {warning, "ExecReload=.*restart.*cookie.*ExecReload=/bin/kill -HUP .MAINPID", [{[unit, "ExecReload"], "/opt/a/bin/a restart"}]},
            {warning, "RemainAfterExit=yes.*status 0.*Remove", [{[unit, "RemainAfterExit"], "true"}]},
            {notice, "TimeoutStopSec=29s.*drainer.*TimeoutStopSec=35s", [{[unit, "TimeoutStopSec"], "29s"}]},
            {notice, "TimeoutStopSec=500ms", [{[unit, "TimeoutStopSec"], "500ms"}]},
            {notice, "RestartSec=100ms.*stays down.*RestartSec=2s.*StartLimitIntervalSec=0", [
                {[unit, "RestartSec"], "100ms"}, {[unit, "StartLimitIntervalSec"], "10s"}
            ]},
            {warning, "RestartSec=0 with StartLimitIntervalSec=0.*RestartSec=2s", [
                {[unit, "RestartSec"], "0"}, {[unit, "StartLimitIntervalSec"], "0"}, {[unit, "Restart"], "always"}
            ]},
            {error, "ProtectHome= hides /home/a/bin/a.*/opt", [
                {[unit, "ProtectHome"], "yes"}, {[unit, "ExecStart"], "/home/a/bin/a start"}
            ]},
            {error, "ProtectHome= hides /root/a, .*/opt", [{[unit, "ProtectHome"], "tmpfs"}, {[unit, "WorkingDirectory"], "/root/a"}]},
            {notice, "ProtectSystem=strict without RELEASE_TMP.*RELEASE_TMP=%t/my_app", [strict]},
            {warning, "RELEASE_TMP=/srv/x .*ProtectSystem=strict.*RELEASE_TMP=%t/my_app", [
                strict, {[unit, "Environment"], "A=1 RELEASE_TMP=/srv/x"}
            ]},
            {warning, "RELEASE_TMP=/tmp/x ", [strict, {[unit, "Environment"], "A=1\nRELEASE_TMP=/tmp/x"}]},
            {notice, "SuccessExitStatus=143.*status 0", [{[unit, "SuccessExitStatus"], "0 143 TERM"}]},
            {notice, "ExecStartPost=.*READY=1.*Remove", [{[unit, "ExecStartPost"], "/bin/true\n/bin/sh -c until curl x; do sleep 1; done"}]},
            {notice, "ExecStartPost=", [{[unit, "ExecStartPost"], "/opt/a/bin/a ping"}]},
            {notice, "LimitNOFILE=1024.*LimitNOFILE=65536", [{[unit, "LimitNOFILE"], "1024"}]},
            {warning, "/etc/a/env.*DATABASE_URL.*chmod 600 /etc/a/env", [{[secrets], [{"/etc/a/env", "DATABASE_URL"}]}]},
            {error, "the socket /run/b/c/sock is in RuntimeDirectory=b,.*RuntimeDirectoryPreserve=yes", [{[sockets], ["/run/b/c/sock"]}]},
            {notice, "MemoryDenyWriteExecute=yes.*JPperf", [{[unit, "MemoryDenyWriteExecute"], "yes"}]},
            {error, "log handler default: nobody listens at /run/j.*BindReadOnlyPaths=", [{[info, journal, default], journal(false)}]},
            {warning, "install_journal is set, but.*StandardOutput=journal", [{[info, journal], #{}}]},
            {warning, "without their levels.*install_journal.*install_kmsg", [{[levels], missing}]},
            {warning, "SyslogLevelPrefix=no: .*<3>.*install_journal", [{[levels], prefixed}, {[unit, "SyslogLevelPrefix"], "no"}]},
            {warning, "SyslogLevelPrefix=0: ", [{[levels], prefixed}, {[unit, "SyslogLevelPrefix"], "0"}]},
            {warning, "could not be started: .*emfile.*LimitNOFILE=.*Type=.* were not checked", [{[unit], {error, emfile}}]},
            {warning, "could not be started: .*eagain.*TasksMax=", [{[unit], {error, eagain}}]},
            {error, "unknown config key wacthdog_check", [{[config], [{wacthdog_check, x}, {install_journal, true}, {watchdog_check, {m, f, []}}]}]}
        ]
    ].

found(Changes, Pattern) ->
    Findings = findings(with(Changes)),
    {Changes, Findings, re:run([Text || {_, Text} <- Findings], Pattern)}.

%% What a rule needs and is not there is no reason to say anything.
partial_facts(_) ->
    ?assertEqual([], findings(#{})),
    All = healthy(),
    [?assertEqual({Key, []}, {Key, findings(maps:remove(Key, All))}) || Key <- maps:keys(All)],
    ?assertMatch([{error, "Type=simple" ++ _}], findings(#{unit => #{"Type" => "simple"}, config => []})),
    ?assertMatch([{notice, "no config key watchdog_check" ++ _}], findings(#{unit => #{"WatchdogSec" => "1"}, config => []})).

config_keys(_) ->
    Fun = fun() -> true end,
    Function = [{m, f, []}, Fun],
    [
        begin
            [?assertEqual({Key, Value, []}, {Key, Value, systemd_config:problems([{Key, Value}])}) || Value <- Fit],
            [?assertMatch({Key, Value, [_]}, {Key, Value, systemd_config:problems([{Key, Value}])}) || Value <- Unfit]
        end
     || {Key, Fit, Unfit} <- [
            {watchdog_check, [undefined, {all, [{run_queue, 5}]} | Function], [true, {m, f}, fun(X) -> X end]},
            {watchdog_warn_after, [1], [0, infinity]},
            {watchdog_on_hang, [withhold, trigger, abort], [undefined, kill]},
            {watchdog_crash_dump, [undefined, "/var/lib/x", <<"y">>, ["/v", <<"z">>]], ["", x, 7]},
            {memory_pressure, [undefined, false | Function], [true]},
            {watchdog_scale, [2, 10], [1, 2.0, "10"]},
            {reload, [restart | Function], [reload, undefined]},
            {restart_timeout, [1], [0, infinity]},
            {handle_event, [sighup, sigusr1, false], [true, sigterm]},
            {warn_about_readiness_message, [0, 10000, false], [-1, true]},
            {install_journal, [true, false, #{metadata => all}, [{metadata, [request_id]}], []], [yes, [true], "true"]},
            {install_kmsg, [true, false], [undefined]},
            {unset_env, [true, false], [1]},
            {no_such_key, [], [true]}
        ]
    ],
    [Text] = systemd_config:problems([{watchdog_scale, 1}, {reload, restart}]),
    ?assertEqual("config key watchdog_scale is 1, but must be an integer from 2 to 1000", lists:flatten(Text)).

%% Every key that there is is known, and its default is fit.
default_config(_) ->
    _ = application:load(systemd),
    ?assertEqual([], systemd_config:problems(systemd_config:all())),
    Defaults = [{Key, Default} || {Key, Default, _, _} <- systemd_config:keys()],
    ?assert(length(Defaults) > 5),
    ?assertEqual([], systemd_config:problems(Defaults)).

unit_files(_) ->
    Settings = fun(Lines) -> systemd_unit:parse(lists:join("\n", ["[Service]" | Lines])) end,
    Value = fun(Name, Lines) -> maps:get(Name, Settings(Lines), none) end,
    [
        ?assertEqual({Lines, Expected}, {Lines, Value("KillMode", Lines)})
     || {Expected, Lines} <- [
            {"mixed", ["KillMode=mixed"]},
            {"mixed", ["  KillMode =  mixed  "]},
            {"mixed", ["KillMode=none", "KillMode=mixed"]},
            {none, ["KillMode=mixed", "KillMode="]},
            {"none", ["KillMode=mixed", "KillMode=", "KillMode=none"]},
            {none, ["# KillMode=mixed", ";KillMode=mixed"]},
            {"mixed", ["KillMode=\\", "mixed"]},
            {"mixed", ["KillMode=\\", "# none", "; none", "mixed"]},
            {"mixed", ["# a comment \\", "KillMode=mixed"]},
            {none, ["ExecStart=/bin/a \\", "KillMode=mixed"]},
            {none, ["[Unit]", "KillMode=mixed"]},
            {"mixed", ["[Install]", "[Service]", "KillMode=mixed"]}
        ]
    ],
    ?assertEqual("/bin/a -b=c   -d", Value("ExecStart", [<<"ExecStart=/bin/a -b=c \\">>, " -d"])),
    ?assertMatch(#{"Type" := "simple", "Restart" := "no", "WatchdogSec" := "0s"}, Settings([])),
    ?assertMatch(#{"Type" := "notify"}, Settings(["Type=notify"])),
    ?assertEqual({error, no_service_section}, systemd_unit:parse(<<"[Unit]\nType=notify\n">>)),
    ?assertEqual({error, no_service_section}, systemd_unit:parse(<<255, 0, "[Serv">>)).

%% Whether the VM becomes the main process can only be guessed before it runs.
shells(_) ->
    Found = fun(Command, Lines) ->
        Healthy = "WatchdogSec=5\nRestart=on-failure\nRestartSec=2\nLimitNOFILE=2048\n",
        Text = ["[Service]\nType=notify\n", Healthy, "ExecStart=", Command, "\n" | Lines],
        [{Severity, lists:flatten(Finding)} || {Severity, Finding} <- findings(#{unit => systemd_unit:parse(Text)})]
    end,
    [
        ?assertMatch({Command, [{Severity, "ExecStart= runs " ++ _}]}, {Command, Found(Command, [])})
     || {Severity, Command} <- [
            {warning, "/bin/sh -c '/opt/a/bin/a start'"}, {warning, "sh -e -c \"cd /opt; bin/a start\""},
            {warning, "-/usr/bin/dash -ec 'bin/a start'"}, {notice, "/bin/bash -lc \"bin/a start\""},
            {notice, "/usr/bin/env zsh -c 'bin/a start'"}
        ]
    ],
    [
        ?assertEqual({Command, []}, {Command, Found(Command, Lines)})
     || {Command, Lines} <- [
            {"/bin/sh -c 'cd /opt && exec bin/a start'", []}, {"/opt/a/bin/a start", []}, {"/opt/sh -v", []},
            {"/opt/start.sh -c config", []}, {"/bin/sh -c 'bin/a start'", ["NotifyAccess=all\n"]}
        ]
    ].

%% What systemctl show was seen to say of a unit file is what the file is read as.
shown(_) ->
    File = [
        "DynamicUser=true", "TimeoutSec=5", "StartLimitInterval=0", "LimitNOFILE=1024:4096", "NotifyAccess=none",
        "Environment=A=1 \"B=c d\"", "Environment=RELEASE_TMP=/x", "EnvironmentFile=-/etc/a b", "EnvironmentFile=/etc/c",
        "ExecStart=!/bin/sh -c 'exec \"/a b/c\" start'", "ExecStartPost=/bin/true", "ExecStartPost=-/bin/a \"b\" c"
    ],
    Shown = [
        "Type=simple", "Restart=no", "RestartUSec=100ms", "StartLimitIntervalUSec=0", "TimeoutStopUSec=5s", "WatchdogUSec=0",
        "LimitNOFILESoft=1024", "NotifyAccess=none", "DynamicUser=yes", "ProtectSystem=strict", "PrivateTmp=yes",
        "Environment=A=1 \"B=c d\" RELEASE_TMP=/x", "EnvironmentFiles=/etc/a b (ignore_errors=yes)",
        "EnvironmentFiles=/etc/c (ignore_errors=no)", "BindPaths=",
        "ExecStart={ path=/bin/sh ; argv[]=/bin/sh -c exec \"/a b/c\" start ; ignore_errors=no ; start_time=[n/a] ; pid=0 }",
        "ExecStartPost={ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no ; start_time=[n/a] ; pid=0 }",
        "ExecStartPost={ path=/bin/a ; argv[]=/bin/a b c ; ignore_errors=yes ; start_time=[n/a] ; pid=0 }"
    ],
    #{"Environment" := _} = Read = systemd_unit:parse(lists:join("\n", ["[Service]" | File])),
    Same = fun(Settings) -> Settings#{"Environment" := lists:join(" ", string:split(maps:get("Environment", Settings), "\n", all))} end,
    Of = fun(Settings) -> maps:map(fun(_, Value) -> lists:flatten(Value) end, Same(Settings)) end,
    ?assertEqual(Of(systemd_unit:shown(Shown)), Of(Read#{"DynamicUser" := "yes"})),
    ?assertMatch(#{"NotifyAccess" := "main"}, systemd_unit:parse("[Service]\nNotifyAccess=none\nType=notify")),
    ?assertMatch(#{"NotifyAccess" := "main"}, systemd_unit:parse("[Service]\nWatchdogSec=3")),
    ?assertMatch(#{"NotifyAccess" := "all"}, systemd_unit:parse("[Service]\nNotifyAccess=all")),
    Unit = systemd_unit:parse("[Unit]\nStartLimitIntervalSec=0\nRestart=always\n[Service]\nRestartSec=2\n"),
    ?assertMatch(#{"StartLimitIntervalSec" := "0s", "RestartSec" := "2s", "Restart" := "no"}, Unit).

%% Of the files that the unit names, such as anybody can read.
secrets(Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), "env"),
    File = fun(Name, Mode, Text) ->
        Path = filename:join(Dir, Name),
        ok = filelib:ensure_dir(Path),
        ok = file:write_file(Path, Text),
        ok = file:change_mode(Path, Mode),
        Path
    end,
    Found = File("a", 8#644, "# TOKEN=x\nPORT=1\n DATABASE_URL=\"ecto://x\"\n"),
    Others = [
        File("b", 8#640, "SECRET_KEY_BASE=x\n"), File("c", 8#644, "#SECRET=x\nSECRET=\nPORT=1\n"), File("d/e", 8#644, "SECRET=x\n"),
        filename:join(Dir, "missing"), Dir, "%E/f"
    ],
    ok = file:change_mode(filename:join(Dir, "d"), 8#750),
    Unit = systemd_unit:parse(["[Service]\n" | [["EnvironmentFile=", Path, "\n"] || Path <- [Found | Others]]]),
    IsOpen = lists:all(fun(Path) -> {ok, Info} = file:read_file_info(Path), element(8, Info) band 1 =:= 1 end, above(Dir)),
    ?assertEqual([{Found, "DATABASE_URL"} || IsOpen], systemd_doctor:secrets(Unit)).

above("/") -> [];
above(Path) -> [Path | above(filename:dirname(Path))].

%% A byte order mark, and the line ends of other systems: systemd was seen to take each of these.
line_ends(_) ->
    Text = "[Service]\nType=notify\nKillMode=\\\n# none\nmixed\nExecStart=/bin/a \\\n  -b\n\n[Install]\n",
    Expected = systemd_unit:parse(Text),
    ?assertMatch(#{"KillMode" := "mixed", "ExecStart" := "/bin/a    -b"}, Expected),
    [
        ?assertEqual({End, Mark, Expected}, {End, Mark, systemd_unit:parse([Mark, lists:join(End, string:split(Text, "\n", all))])})
     || End <- ["\n", "\r\n", "\r"], Mark <- ["", <<16#feff/utf8>>]
    ].

%% Of a service, and as systemd 252 was seen to name its control group.
unit_names(_) ->
    Slice = "/user.slice/user-1000.slice/user@1000.service/app.slice/",
    [
        ?assertEqual({{Name, Manager}, Group}, {systemd_unit:place(["8:pids:/\n0::", Group, "\n"]), Group})
     || {Name, Manager, Group} <- [
            {"a.service", system, "/system.slice/a.service"},
            {"a.service", system, "/system.slice/a.service/inner"},
            {"devices.service", system, "/system.slice/_devices.service"},
            {"memory.service", system, "/system.slice/_memory.service"},
            {"_x.service", system, "/system.slice/__x.service"},
            {"__x.service", system, "/system.slice/___x.service"},
            {"cgroup.a.service", system, "/system.slice/_cgroup.a.service"},
            {"a_.service", system, "/system.slice/a_.service"},
            {"user@1000.service", system, "/user.slice/user-1000.slice/user@1000.service/init.scope"},
            {"a.service", user, Slice ++ "a.service"},
            {"_x.service", user, Slice ++ "__x.service/inner"},
            {false, system, "/user.slice/session-1.scope"},
            {false, system, "/"}
        ]
    ].

show_without_systemctl(_) ->
    Path = os:getenv("PATH"),
    os:putenv("PATH", "/nowhere"),
    Shown = systemd_unit:show("a.service", ["Type"]),
    os:putenv("PATH", Path),
    ?assertEqual(#{}, Shown),
    ?assertEqual(#{}, systemd_unit:show("no-such-unit.service", ["Type"])).

%% On the developer's machine, of the unit file.
level_prefix_of_a_unit_file(_) ->
    Unit = systemd_unit:parse("[Service]\nType=notify\nSyslogLevelPrefix=no\n"),
    Found = fun(Config) ->
        [Text || {warning, Text} <- systemd_doctor:project(Config, Unit), string:find(Text, "SyslogLevelPrefix=") =/= nomatch]
    end,
    ?assertMatch([_], Found([])),
    [?assertEqual([], Found(Config)) || Config <- [[{install_journal, true}], [{install_kmsg, false}], [{auto_formatter, false}]]].

%% Standard error is taken for the journal's stream: it is whatever the test writes to.
levels(_) ->
    {ok, #{formatter := Formatter} = Default} = logger:get_handler_config(default),
    ok = logger:remove_handler(default),
    ok = logger:add_handler(default, logger_std_h, #{config => #{type => standard_error}, level => none, formatter => Formatter}),
    No = systemd_logger:levels(),
    os:putenv("JOURNAL_STREAM", stream()),
    Yes = systemd_logger:levels(),
    ok = logger:set_handler_config(default, formatter, {systemd_kmsg_formatter, #{}}),
    NoMore = systemd_logger:levels(),
    ok = logger:remove_handler(default),
    ok = logger:add_handler(default, maps:get(module, Default), maps:remove(id, Default)),
    ?assertEqual({elsewhere, missing, prefixed}, {No, Yes, NoMore}).

stream() ->
    [Device, Inode] = string:lexemes(os:cmd("stat -L -c '%d %i' /proc/" ++ os:getpid() ++ "/fd/2"), " \n"),
    Device ++ ":" ++ Inode.

prints(_) ->
    Error = "error: the application systemd is not started: add it to the applications of the release\n",
    ?assertEqual(Error, lists:append(printed())),
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    ok = application:start(systemd),
    ok = systemd:notify([ready, {status, "grün"}]),
    Lines = printed(),
    recorder:stop(Recorder),
    [
        ?assertMatch({Pattern, {match, _}}, {Pattern, re:run(unicode:characters_to_binary(Lines), Pattern, [unicode, multiline])})
     || Pattern <- [
            "^unit +(\\S+\\.service|false)$",
            "^pid +" ++ os:getpid() ++ "$",
            "^uptime +\\d+$",
            "^announced +\\[ready\\]$",
            "^status +grün$",
            "^notifications +failed 0, sent 1$",
            "^watchdog +false$",
            "^descriptors +handed_over \\[\\], store_max unknown$",
            "^notice: no WatchdogSec="
        ]
    ].

printed() ->
    ct:capture_start(),
    ok = systemd:doctor(),
    ct:capture_stop(),
    ct:capture_get([]).
