%% @private
%% What is wrong, and how to fix it. Each rule looks at the facts that are known.
-module(systemd_doctor_rules).

-export([findings/1]).

-export_type([facts/0, finding/0]).

-type facts() :: #{
    info => systemd:info(),
    %% `unknown' where there is a unit that can't be asked about, an error where this process could not ask.
    unit => systemd_unit:settings() | unknown | {error, atom()},
    config => [{Key :: atom(), Value :: term()}],
    %% Of the native library, and empty where it is loaded.
    load_error => string(),
    %% Files of the unit that everybody can read, and the first variable in each that looks like a secret.
    secrets => [{Path :: string(), Variable :: string()}],
    %% Paths of the UNIX sockets that were handed over.
    sockets => [string()],
    jit => boolean(),
    %% How the lines of the default log handler come to the journal.
    levels => prefixed | missing | elsewhere
}.

-type finding() :: {error | warning | notice, Text :: io_lib:chars()}.
%% A `notice' is nothing wrong.

-define(NOT_LOOKED_AT, "The unit's settings, such as Type= and ExecStart=, were not checked").

-define(NO_RUNTIME_DIRECTORY, #{"RuntimeDirectory" => "", "RuntimeDirectoryPreserve" => "no"}).

-spec findings(facts()) -> [finding()].
findings(Facts) ->
    Rules = [
        native_library, started, unit, type, reload_signal, notify_access, ready, watchdog_sec, watchdog_check,
        watchdog_result, watchdog_duration, restart, settings, secrets, runtime_directory, memory_deny_write_execute,
        journal, levels, config
    ],
    lists:flatten([rule(Rule, Facts) || Rule <- Rules]).

-spec rule(atom(), facts()) -> finding() | [finding()].
rule(native_library, #{load_error := [_ | _] = Reason}) ->
    say(error, "the native library is not loaded, so that nothing is sent to systemd: ~ts. Build the release on the "
        "kind of system that it runs on, with priv/systemd_nif.so", [Reason]);
rule(started, #{info := #{uptime := false}}) ->
    {error, "the application systemd is not started: add it to the applications of the release"};
rule(started, #{info := #{error := Reason}}) when Reason =/= false, Reason =/= nif_not_loaded ->
    say(error, "nothing is sent to systemd: ~ts", [systemd_reason:explain(Reason)]);
rule(started, #{info := #{under_systemd := false, unit := false}}) ->
    {notice, "not under systemd: NOTIFY_SOCKET was not set at the start. Every call does nothing"};
rule(started, #{info := #{under_systemd := false, unit := Unit}, unit := Settings}) ->
    say_if(rule(type, #{unit => Settings}) =:= [], error,
        "NOTIFY_SOCKET was not set at the start, so that nothing is sent to systemd: ~ts needs Type=notify, and a "
        "script in ExecStart= must keep the variable", [Unit]);
rule(unit, #{unit := unknown}) ->
    {notice, "systemctl can't be run from here. " ?NOT_LOOKED_AT};
rule(unit, #{unit := {error, Reason}}) ->
    say(warning, "systemctl could not be started: ~ts. " ?NOT_LOOKED_AT, [systemd_reason:explain_start(Reason)]);
rule(type, #{unit := #{"Type" := Type} = Unit}) ->
    Ignored = case Unit of
        #{"NotifyAccess" := "none"} -> ", and systemd ignores all notifications (NotifyAccess=none)";
        #{} -> ""
    end,
    say_if(not lists:prefix("notify", Type), error,
        "Type=~ts: systemctl start does not wait for READY=1~ts. Set Type=notify", [Type, Ignored]);
rule(reload_signal, #{unit := #{"Type" := "notify-reload"}, config := Config}) ->
    say_if(lists:member({handle_event, false}, Config), error,
        "Type=notify-reload with the config key handle_event false: systemctl reload kills the VM, and from systemd "
        "262 on the start fails (lacks handler for reload signal). Remove handle_event, or set Type=notify", []);
rule(notify_access, #{unit := #{"NotifyAccess" := Access, "MainPID" := MainPid}, info := #{pid := Pid}}) when
    Access =/= "none"
->
    %% With PrivatePIDs= the main process has the number 1 for itself.
    say_if(Access =/= "all" andalso integer_to_list(Pid) =/= MainPid andalso Pid =/= 1, error,
        "NotifyAccess=~ts: systemd ignores notifications of the VM, which is process ~b, because the main process is "
        "~ts. Let the script in ExecStart= exec the VM, or set NotifyAccess=all", [Access, Pid, MainPid]);
rule(ready, #{info := #{under_systemd := true, error := false, announced := [], uptime := Uptime}} = Facts) ->
    say_if(rule(type, Facts) =:= [], error,
        "no READY=1 was sent in the ~b s since the start. With Type=notify systemd waits for it: put "
        "systemd:ready() at the end of the supervision tree", [Uptime div 1000]);
rule(watchdog_sec, #{info := #{under_systemd := UnderSystemd, error := Reason, watchdog := Watchdog}}) when
    not UnderSystemd; Reason =/= false; Watchdog =/= false
->
    [];
rule(watchdog_sec, #{unit := #{"WatchdogSec" := Timeout}} = Facts) ->
    case systemd_unit:is_off(Timeout) of
        true -> {notice, "no WatchdogSec=: a VM that hangs is not restarted"};
        false -> say_if(is_map_key(info, Facts), error,
            "WatchdogSec=~ts, but the watchdog does not run: WATCHDOG_USEC was not set for this process. A script in "
            "ExecStart= must exec the VM. PrivatePIDs= may hide for which process it was set", [Timeout])
    end;
rule(watchdog_sec, #{info := _}) ->
    rule(watchdog_sec, #{unit => #{"WatchdogSec" => "0"}});
rule(watchdog_check, #{config := Config} = Facts) ->
    say_if(is_watched(Facts) andalso proplists:get_value(watchdog_check, Config) =:= undefined, notice,
        "no config key watchdog_check: the watchdog checks only that the VM answers", []);
rule(watchdog_result, #{info := #{watchdog := #{overdue := Millis}}}) when is_integer(Millis) ->
    say(error, "an answer to the watchdog is overdue for ~b ms: a check of the config key watchdog_check hangs, or the "
        "VM is too busy to run it", [Millis]);
rule(watchdog_result, #{info := #{watchdog := #{last_result := Text}}}) when is_binary(Text) ->
    say(error, "watchdog_check: ~ts. Pings are withheld until it passes, and systemd kills the service after "
        "WatchdogSec=", [Text]);
%% After half of the timeout the watchdog's thread takes it for a stall.
rule(watchdog_duration, #{info := #{watchdog := #{last_duration := Took, timeout := Most}}}) when is_integer(Took) ->
    say_if(2 * Took >= Most, warning,
        "watchdog_check took ~b ms, and WatchdogSec= is ~b ms. Make the check faster, or WatchdogSec= more than twice "
        "as long", [Took, Most]);
rule(restart, #{unit := #{"WatchdogSec" := Timeout, "Restart" := Restart}} = Facts) ->
    StaysDown = not lists:member(Restart, restarts(maps:get(config, Facts, []))),
    say_if(StaysDown andalso not systemd_unit:is_off(Timeout), warning,
        "WatchdogSec= with Restart=~ts: a service that hangs is killed and stays down. Set "
        "Restart=on-failure", [Restart]);
rule(settings, #{unit := #{} = Settings}) ->
    systemd_doctor_unit:findings(Settings);
rule(secrets, #{secrets := Secrets}) ->
    [
        say(warning, "EnvironmentFile=~ts contains ~ts, and every user can read it. Only systemd has to: "
            "chmod 600 ~ts", [Path, Variable, Path])
     || {Path, Variable} <- Secrets
    ];
rule(runtime_directory, #{sockets := Paths, unit := Unit}) when is_map(Unit) ->
    #{"RuntimeDirectory" := Names, "RuntimeDirectoryPreserve" := Kept} = maps:merge(?NO_RUNTIME_DIRECTORY, Unit),
    [
        say(error, "the socket ~ts is in RuntimeDirectory=~ts, which systemd removes when the service stops. Then "
            "nobody can connect. Set RuntimeDirectoryPreserve=yes, or another ListenStream= in the socket unit",
            [Path, Directory])
     || Kept =/= "yes", Path <- Paths, Directory <- string:lexemes(Names, " \n"),
        lists:prefix("/run/" ++ Directory ++ "/", Path)
    ];
rule(memory_deny_write_execute, #{unit := #{"MemoryDenyWriteExecute" := Denied}, jit := true}) ->
    say_if(systemd_unit:is_yes(Denied), notice,
        "MemoryDenyWriteExecute=yes: the VM does not start with it if the emulator flag +JPperf true or "
        "+JMsingle true is set, because its JIT then needs memory that is writable and executable", []);
rule(journal, #{info := #{journal := Handlers, under_systemd := true}, config := Config}) when Handlers =:= #{} ->
    say_if(proplists:get_value(install_journal, Config, false) =/= false, warning,
        "install_journal is set, but systemd_journal_h was not installed: neither standard output nor standard error "
        "is the journal. Set StandardOutput=journal in the unit", []);
rule(journal, #{info := #{journal := Handlers}}) ->
    [
        say(error, "log handler ~0tp: nobody listens at ~ts. Either systemd-journald is down, or the sandbox hides its "
            "socket: set BindReadOnlyPaths=/run/systemd/journal", [Id, Path])
     || {Id, #{reachable := false, path := Path}} <- maps:to_list(Handlers)
    ];
rule(levels, #{levels := missing}) ->
    {warning, "lines of the default log handler reach the journal without their levels. Set the config key "
        "install_journal to true, or leave install_kmsg at true"};
rule(levels, #{levels := prefixed, unit := #{"SyslogLevelPrefix" := Prefix}}) ->
    say_if(is_no(Prefix), warning,
        "SyslogLevelPrefix=~ts: the journal shows the levels of log lines as text, such as <3>. Remove that line "
        "from the unit, or set the config key install_journal to true, or install_kmsg to false", [Prefix]);
rule(config, #{config := Config}) ->
    [{error, Text} || Text <- systemd_config:problems(Config)];
rule(_, _) ->
    [].

is_watched(#{info := #{watchdog := Watchdog}}) -> Watchdog =/= false;
is_watched(#{unit := #{"WatchdogSec" := Timeout}}) -> not systemd_unit:is_off(Timeout);
is_watched(_) -> false.

%% After a crash dump the VM exits with an error, and is not taken for one that hangs.
restarts(Config) ->
    Dumps = not lists:member(proplists:get_value(watchdog_crash_dump, Config), [undefined, nil]),
    Aborts = proplists:get_value(watchdog_on_hang, Config) =:= abort,
    ["always", "on-failure"] ++ ["on-abnormal" || not Dumps] ++ ["on-watchdog" || not (Dumps orelse Aborts)].

%% As systemd.syntax(7) has it.
is_no(Value) -> lists:member(string:lowercase(Value), ["no", "n", "false", "f", "off", "0"]).

say(Severity, Format, Args) -> {Severity, io_lib:format(Format, Args)}.

say_if(true, Severity, Format, Args) -> say(Severity, Format, Args);
say_if(false, _, _, _) -> [].
