%% @private
%% Mistakes from public unit files of Erlang and Elixir services: a table of those that a setting's text shows, and a
%% function for the others.
-module(systemd_doctor_unit).

-export([findings/1]).

-define(YES, "^(?:yes|true|on|1)$").
-define(RELEASE, "/bin/[\\w.-]+ ").
-define(HIDDEN, "((?:/home|/root|/run/user)/\\S*)").
-define(HIDES_HOME, {"ProtectHome", "^(yes|true|on|1|tmpfs)$"}, {"BindPaths", "^$"}, {"BindReadOnlyPaths", "^$"}).
-define(SHELL(Names), "^(?:\\S*/env )?(?:\\S*/)?(" Names ") (?:-\\w+ )*-\\w*c (?!.*\\bexec\\b)").
-define(CAPTURE, [multiline, {capture, all_but_first, list}]).
-define(INSTEAD, "Use start instead (foreground in a release of rebar3)").

%% Each of the settings has to match; a missing one is "". What the parentheses in the first pattern match becomes part
%% of the text.
rows() -> [
    {error, [{"ExecStart", ?RELEASE "(daemon\\w*)"}],
        "ExecStart= with ~ts leaves the VM in the background: it is not the main process, and its output is not in "
        "the journal. " ?INSTEAD ", with Type=notify and without PIDFile="},
    {error, [{"ExecStart", ?RELEASE "(start_iex|console\\w*)"}, {"StandardInput", "^(null)?$"}],
        "ExecStart= with ~ts: the shell reads the end of its input at once, and the VM stops. " ?INSTEAD},
    {notice, [{"ExecStart", "(?:^|/|\\s)(mix (?:phx\\.server|run))"}],
        "ExecStart= with ~ts needs the sources, Elixir and MIX_ENV=prod, and may compile when it starts. A release "
        "needs none of these: ExecStart=/opt/my_app/bin/my_app start"},
    %% Where the VM runs, it is known which process is the main one.
    {warning, [{"ExecStart", ?SHELL("sh|dash|ash")}, {"MainPID", "^$"}, {"NotifyAccess", "^(main|exec)$"}],
        "ExecStart= runs ~ts without exec: if that is dash, it stays the main process, and systemd ignores the VM's "
        "notifications. Write exec before the command that starts the VM"},
    {notice, [{"ExecStart", ?SHELL("bash|zsh")}, {"MainPID", "^$"}, {"NotifyAccess", "^(main|exec)$"}],
        "ExecStart= runs ~ts without exec: unless the VM is its last command, it stays the main process, and systemd "
        "ignores the VM's notifications. Write exec before the command that starts the VM"},
    {notice, [{"ExecStartPost", "\\b(?:sleep|until|while)\\b|" ?RELEASE "ping"}],
        "ExecStartPost= waits for the service, but it runs only after READY=1. Remove this line"},
    {warning, [{"ExecStop", ?RELEASE "stop\\b"}],
        "ExecStop= starts another VM to do what SIGTERM does. Without Erlang distribution and its cookie it fails, and "
        "so does the stop. Remove this line"},
    {warning, [{"ExecReload", ?RELEASE "(restart|reboot)\\b"}],
        "ExecReload= with ~ts fails without Erlang distribution and its cookie, and otherwise returns too early. Set "
        "ExecReload=/bin/kill -HUP $MAINPID"},
    {warning, [{"RemainAfterExit", ?YES}],
        "RemainAfterExit=yes: after the VM has exited with status 0, the service still counts as active, and systemctl "
        "start does nothing. Remove this line"},
    {warning, [{"KillMode", "^(process|none)$"}],
        "KillMode=~ts leaves child processes behind, such as port programs. Remove this line"},
    {notice, [{"TimeoutStopSec", "^([1-9]s|[12]\\ds|\\d+ ?ms)$"}],
        "TimeoutStopSec=~ts: a stop that takes longer is killed. A drainer, which may take 30 s by default, asks for "
        "more time, but systemctl daemon-reload cancels this. Set TimeoutStopSec=35s"},
    {notice, [
        {"RestartSec", "^(0s?|\\d{1,3} ?ms|\\d+ ?us)$"}, {"Restart", "^(always|on-)"},
        {"StartLimitIntervalSec", "^(?!0s?$)."}
    ],
        "RestartSec=~ts: a service whose starts fail, for example because its database is down, soon reaches the start "
        "limit, and stays down. Set RestartSec=2s, and StartLimitIntervalSec=0 in the section [Unit]"},
    {warning, [{"RestartSec", "^0s?$"}, {"Restart", "^(always|on-)"}, {"StartLimitIntervalSec", "^0s?$"}],
        "RestartSec=0 with StartLimitIntervalSec=0: systemd starts a service that can't start again and again, without "
        "a pause. Set RestartSec=2s"},
    {error, [{"ExecStart", "(?:^|\\bexec )" ?HIDDEN}, ?HIDES_HOME],
        "ProtectHome= hides ~ts, and the service does not start. Install the release in /opt, or set "
        "ProtectHome=read-only"},
    {error, [{"WorkingDirectory", "^" ?HIDDEN}, ?HIDES_HOME],
        "ProtectHome= hides ~ts, the WorkingDirectory=, and the service does not start. Use a folder in /opt, or set "
        "ProtectHome=read-only"},
    {notice, [
        {"ProtectSystem", "^strict$"}, {"ExecStart", ?RELEASE "start\\b"},
        {"Environment", "\\A(?![\\s\\S]*RELEASE_TMP=)"}, {"EnvironmentFile", "^$"}, {"ReadWritePaths", "^$"},
        {"BindPaths", "^$"}
    ],
        "ProtectSystem=strict without RELEASE_TMP: a release with reboot_system_after_config does not start. Set "
        "RuntimeDirectory=my_app and Environment=RELEASE_TMP=%t/my_app"},
    {notice, [{"SuccessExitStatus", "\\b143\\b"}],
        "SuccessExitStatus=143 is for the JVM: after SIGTERM the BEAM exits with status 0. Remove this line"},
    {notice, [{"LimitNOFILE", "^(\\d{1,3}|10[01]\\d|102[0-4])$"}],
        "LimitNOFILE=~ts (systemd's default is 1024) limits connections and open files together. Set LimitNOFILE=65536"}
].

-spec findings(systemd_unit:settings()) -> [systemd_doctor_rules:finding()].
findings(Settings) ->
    Found = [{Severity, Text, captured(Conditions, Settings)} || {Severity, Conditions, Text} <- rows()],
    [{Severity, io_lib:format(Text, Args)} || {Severity, Text, {match, Args}} <- Found] ++ release_tmp(Settings).

captured(Conditions, Settings) ->
    Matches = [re:run(maps:get(Name, Settings, ""), Pattern, ?CAPTURE) || {Name, Pattern} <- Conditions],
    case lists:member(nomatch, Matches) of
        true -> nomatch;
        false -> hd(Matches)
    end.

%% The folders of RuntimeDirectory= and the like may be anywhere.
release_tmp(#{"ProtectSystem" := "strict", "Environment" := Environment} = Settings) ->
    Names = fun(Name) -> string:lexemes(maps:get(Name, Settings, ""), " \n") end,
    Own = lists:append([Names(Kind ++ "Directory") || Kind <- ["Runtime", "State", "Cache", "Logs"]]),
    Shared = lists:member(maps:get("PrivateTmp", Settings, "no"), ["no", "false", "off", "0"]),
    Writable = [string:trim(Path, leading, "-+") || Path <- ["/dev" | Names("ReadWritePaths")]] ++
        [Path || not Shared, Path <- ["/tmp", "/var/tmp"]],
    Mounted = is_map_key("BindPaths", Settings) orelse is_map_key("TemporaryFileSystem", Settings),
    [
        {warning, io_lib:format("RELEASE_TMP=~ts is read-only because of ProtectSystem=strict, and a release with "
            "reboot_system_after_config does not start. Set RuntimeDirectory=my_app and "
            "Environment=RELEASE_TMP=%t/my_app", [Path])}
     || not Mounted, {match, [Path]} <- [re:run(Environment, "(?:^|\\s)RELEASE_TMP=(/\\S*)", ?CAPTURE)],
        not lists:any(fun(Name) -> string:find(Path ++ "/", "/" ++ Name ++ "/") =/= nomatch end, Own),
        not lists:any(fun(Folder) -> lists:prefix(string:trim(Folder, trailing, "/") ++ "/", Path ++ "/") end, Writable)
    ];
release_tmp(_) ->
    [].
