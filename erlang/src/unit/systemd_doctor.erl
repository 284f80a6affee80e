%% @private
%% Collects the facts, and prints them and what {@link systemd_doctor_rules} finds.
-module(systemd_doctor).

-include_lib("kernel/include/file.hrl").

-export([run/0, project/2, report/1, secrets/1]).

%% What there is a rule for.
-define(PROPERTIES, [
    "Type", "NotifyAccess", "MainPID", "WatchdogUSec", "Restart", "RestartUSec", "StartLimitIntervalUSec", "KillMode",
    "TimeoutStopUSec", "ExecStart", "ExecStartPost", "ExecStop", "ExecReload", "RemainAfterExit", "SuccessExitStatus",
    "StandardInput", "WorkingDirectory", "Environment", "EnvironmentFiles", "LimitNOFILESoft", "ProtectHome",
    "ProtectSystem", "PrivateTmp", "ReadWritePaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem",
    "RuntimeDirectory", "RuntimeDirectoryPreserve", "StateDirectory", "CacheDirectory", "LogsDirectory",
    "MemoryDenyWriteExecute", "SyslogLevelPrefix"
]).

-define(SECRET,
    "^[ \t]*(\\w*(?:SECRET|PASSWORD|TOKEN|COOKIE|PRIVATE_KEY|DATABASE_URL)\\w*)[ \t]*=[ \t]*[\"']?[^\\s\"']"
).

run() ->
    Info = systemd_info:read(),
    io:put_chars(summary(Info)),
    Facts = facts(systemd_config:all(), unit(Info), systemd_logger:levels()),
    _ = report(systemd_doctor_rules:findings(Facts#{info => Info, sockets => paths()})),
    ok.

%% A line for each key.
summary(#{uptime := false}) -> [];
summary(Info) -> [io_lib:format("~-16s~ts~n", [Key, text(Value)]) || {Key, Value} <- sorted(Info)].

text(Text) when is_binary(Text) ->
    case unicode:characters_to_list(Text) of
        Chars when is_list(Chars) -> Chars;
        _ -> io_lib:format("~0tp", [Text])
    end;
text(Map) when map_size(Map) > 0 ->
    lists:join(", ", [[text(Key), " ", text(Value)] || {Key, Value} <- sorted(Map)]);
text(Value) ->
    io_lib:format("~0tp", [Value]).

sorted(Map) -> lists:sort(maps:to_list(Map)).

%% Of the UNIX sockets that were handed over.
paths() ->
    Fds = [case Named of {Fd, _} -> Fd; Fd -> Fd end || Named <- systemd_listen:fds()],
    [unicode:characters_to_list(Path) || Fd <- Fds, {ok, #{address := {local, Path}}} <- [systemd_listen:info(Fd)]].

facts(Config, Unit, Levels) ->
    #{
        config => Config,
        unit => Unit,
        secrets => secrets(Unit),
        levels => Levels,
        load_error => systemd_nif:load_error(),
        jit => erlang:system_info(emu_flavor) =:= jit
    }.

unit(#{unit := false}) ->
    #{};
unit(#{unit := Unit}) ->
    case systemd_unit:show(unicode:characters_to_list(Unit), ?PROPERTIES) of
        #{"Type" := _} = Settings -> Settings;
        #{} -> unknown;
        {error, _} = Error -> Error
    end.

%% @doc Of the unit's files, those that everybody can read, and the first variable in each that looks like a secret.
-spec secrets(systemd_unit:settings() | unknown | {error, atom()}) -> [{Path :: string(), Variable :: string()}].
secrets(#{"EnvironmentFile" := Files}) ->
    [
        {Path, Variable}
     || Path <- string:lexemes(Files, "\n"), is_open(Path, 4), {ok, Text} <- [file:read_file(Path)],
        {match, [Variable]} <- [re:run(Text, ?SECRET, [multiline, {capture, all_but_first, list}])]
    ];
secrets(_) ->
    [].

%% Whether everybody may read a file, or go through a folder, and through those above it.
is_open("/", _) ->
    true;
is_open("/" ++ _ = Path, Bit) ->
    case file:read_file_info(Path) of
        {ok, #file_info{mode = Mode, type = Type}} when Mode band Bit =/= 0, Type =:= regular orelse Bit =:= 1 ->
            is_open(filename:dirname(Path), 1);
        _ ->
            false
    end;
is_open(_, _) ->
    false.

%% @doc What can be said where the service doesn't run.
-spec project(Config :: [{atom(), term()}], systemd_unit:settings()) -> [systemd_doctor_rules:finding()].
project(Config, Unit) ->
    %% As the application will find it on a server.
    Kmsg = proplists:get_value(install_kmsg, Config, proplists:get_value(auto_formatter, Config, true)),
    Levels = case {proplists:get_value(install_journal, Config, false), Kmsg} of
        {false, true} -> prefixed;
        _ -> elsewhere
    end,
    systemd_doctor_rules:findings(facts(Config, Unit, Levels)).

%% @doc Prints them; whether nothing is wrong.
-spec report([systemd_doctor_rules:finding()]) -> boolean().
report(Findings) ->
    [io:format("~ts: ~ts~n", [Severity, Text]) || {Severity, Text} <- Findings],
    IsWell = lists:all(fun({Severity, _}) -> Severity =:= notice end, Findings),
    _ = IsWell andalso io:format("nothing is wrong~n"),
    IsWell.
