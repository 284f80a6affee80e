%% @private
%% Collects the facts, and prints them and what {@link systemd_doctor_rules} finds.
-module(systemd_doctor).

-export([run/0, project/2, report/1]).

-define(PROPERTIES, [
    "Type", "NotifyAccess", "MainPID", "WatchdogUSec", "Restart", "KillMode", "MemoryDenyWriteExecute",
    "SyslogLevelPrefix"
]).

%% @doc See {@link systemd:doctor/0}.
-spec run() -> ok.
run() ->
    #{info := Info} = Facts = facts(),
    io:put_chars(summary(Info)),
    _ = report(systemd_doctor_rules:findings(Facts)),
    ok.

-spec facts() -> systemd_doctor_rules:facts().
facts() ->
    Info = systemd_info:read(),
    maps:merge(here(systemd_config:all()), #{
        info => Info,
        unit => unit(Info),
        levels => systemd_logger:levels()
    }).

here(Config) ->
    #{
        config => Config,
        native_library => native_library(),
        jit => erlang:system_info(emu_flavor) =:= jit
    }.

native_library() ->
    case systemd_nif:loaded() of
        true -> loaded;
        false -> systemd_nif:load_error()
    end.

unit(#{unit := false}) ->
    #{};
unit(#{unit := Unit}) ->
    case systemd_unit:show(unicode:characters_to_list(Unit), ?PROPERTIES) of
        #{"WatchdogUSec" := Timeout} = Properties -> Properties#{"WatchdogSec" => Timeout};
        #{} -> unknown;
        {error, _} = Error -> Error
    end.

%% @doc What can be said where the service doesn't run.
-spec project(Config :: [{atom(), term()}], systemd_unit:settings()) -> [systemd_doctor_rules:finding()].
project(Config, Unit) -> systemd_doctor_rules:findings((here(Config))#{unit => Unit, levels => levels(Config)}).

%% As the application will find it on a server.
levels(Config) ->
    Journal = proplists:get_value(install_journal, Config, false),
    Kmsg = proplists:get_value(install_kmsg, Config, true),
    case {Journal, Kmsg} of
        {false, true} -> prefixed;
        _ -> elsewhere
    end.

%% @doc Prints them; whether nothing is wrong.
-spec report([systemd_doctor_rules:finding()]) -> boolean().
report(Findings) ->
    [io:format("~ts: ~ts~n", [Severity, Text]) || {Severity, Text} <- Findings],
    IsWell = lists:all(fun({Severity, _}) -> Severity =:= notice end, Findings),
    _ = IsWell andalso io:format("nothing is wrong~n"),
    IsWell.

summary(#{uptime := false}) ->
    [];
summary(#{uptime := Uptime} = Info) ->
    #{
        pid := Pid, unit := Unit, announced := Announced, status := Status, watchdog := Watchdog, journal := Journal,
        notifications := #{sent := Sent, failed := Failed}, descriptors := #{handed_over := Fds}
    } = Info,
    [
        line("unit", "~ts, process ~b, for ~b s", [or_none(Unit), Pid, Uptime div 1000]),
        line("announced", "~ts", [names(Announced)]),
        line("status", "~ts", [or_none(Status)]),
        line("notifications", "~b sent, ~b failed", [Sent, Failed]),
        line("watchdog", "~ts", [watchdog(Watchdog)]),
        [
            line("journal", "~0tp: ~ts, ~b sent, ~b dropped", [Id, Path, Entries, Dropped])
         || {Id, #{path := Path, sent := Entries, dropped := Dropped}} <- maps:to_list(Journal)
        ],
        line("descriptors", "~0tp", [Fds])
    ].

line(Name, Format, Args) -> io_lib:format("~-14s" ++ Format ++ "~n", [Name | Args]).

or_none(false) -> "none";
or_none(Text) -> Text.

names([]) -> "nothing";
names(Names) -> lists:join(", ", [atom_to_list(Name) || Name <- Names]).

watchdog(false) ->
    "none";
watchdog(#{enabled := false}) ->
    "disabled";
watchdog(#{timeout := Timeout, last_answer := Answer} = Watchdog) ->
    io_lib:format("~b ms, last answer ~ts~ts", [Timeout, ago(Answer), checked(Watchdog)]).

checked(#{last_result := not_checked}) -> "";
checked(#{last_result := Result, last_duration := Took}) ->
    io_lib:format(": ~ts, in ~0tp ms", [Result, Took]).

ago(never) -> "never";
ago(Millis) -> io_lib:format("~b ms ago", [Millis]).
