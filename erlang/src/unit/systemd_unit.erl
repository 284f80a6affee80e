%% @private
%% The unit that this VM runs in, and what is in it.
-module(systemd_unit).

-export([name/0, place/1, show/2, shown/1, parse/1, is_yes/1, is_off/1]).

-export_type([settings/0]).

%% By their names in a unit file. One that is a list has a line for each assignment. A command is its words, without
%% their quotes.
-type settings() :: #{Name :: string() => Value :: string()}.

-define(DEFAULTS, #{
    "Type" => "simple", "WatchdogSec" => "0s", "Restart" => "no", "RestartSec" => "100ms",
    "StartLimitIntervalSec" => "10s", "LimitNOFILE" => "1024"
}).
-define(LISTS, "^(Exec.*|Environment.*|\\w+Paths|(Runtime|State|Cache|Logs)Directory|TemporaryFileSystem|"
    "SuccessExitStatus)$").

%% In milliseconds.
-define(LONGEST_WAIT, 5000).

%% @doc The last part of the control group's path that is a service's, unless the service has made groups of its own.
-spec name() -> string() | false.
name() -> element(1, place()).

place() ->
    case file:read_file("/proc/self/cgroup") of
        {ok, Groups} -> place(Groups);
        {error, _} -> {false, system}
    end.

%% @doc That, and whose manager has it: below `user@UID.service' it is the user's.
-spec place(iodata()) -> {Name :: string() | false, system | user}.
place(Groups) ->
    %% Not by `string', which would load the 650 kB of `unicode_util' at the start of every service.
    Split = binary:split(iolist_to_binary(Groups), [<<"/">>, <<"\n">>], [global]),
    Parts = [binary_to_list(Part) || Part <- Split],
    case lists:reverse([unescaped(Part) || Part <- Parts, lists:suffix(".service", Part)]) of
        [] ->
            {false, system};
        [Name | Above] ->
            IsUsers = lists:any(fun(Service) -> lists:prefix("user@", Service) end, Above),
            {Name, case IsUsers of true -> user; false -> system end}
    end.

%% systemd puts a `_' before a name that begins with one, or that the kernel may take for a file of its own, such as
%% `memory.service'.
unescaped([$_ | Name]) -> Name;
unescaped(Name) -> Name.

%% @doc Settings, from properties of `systemctl show'; none where it knows no such unit, or there is no such command.
-spec show(Unit :: string(), [Property :: string()]) -> settings() | {error, file:posix() | system_limit}.
show(Unit, Names) ->
    Systemctl = os:find_executable("systemctl"),
    %% Which finds its manager by this variable.
    Manager = ["--user" || element(2, place()) =:= user, os:getenv("XDG_RUNTIME_DIR") =/= false],
    Args = Manager ++ ["show", "--property=" ++ lists:join($,, ["LoadState" | Names]), "--", Unit],
    Options = [{args, Args}, exit_status, stderr_to_stdout, in],
    try Systemctl =/= false andalso open_port({spawn_executable, Systemctl}, Options) of
        false -> #{};
        Port -> loaded(shown(string:split(output(Port, systemd_wait:deadline(?LONGEST_WAIT), []), "\n", all)))
    catch
        %% There is no descriptor or process to be had.
        error:Reason -> {error, Reason}
    end.

loaded(#{"LoadState" := "loaded"} = Properties) -> Properties;
loaded(#{}) -> #{}.

output(Port, Deadline, Output) ->
    receive
        {Port, {data, Data}} -> output(Port, Deadline, [Output | Data]);
        {Port, {exit_status, _}} -> lists:flatten(Output)
    after systemd_wait:rest(Deadline) ->
        port_close(Port),
        ""
    end.

%% @doc From the lines of `systemctl show'.
-spec shown([string()]) -> settings().
shown(Lines) -> lists:foldl(fun assign/2, #{}, Lines).

assign(Line, Settings) ->
    case string:split(Line, "=") of
        [Left, Right] ->
            Name = name_of(string:trim(Left)),
            assign(Name, value(Name, string:trim(Right)), Settings);
        _ ->
            Settings
    end.

assign(Name, "", Settings) ->
    maps:remove(Name, Settings);
assign(Name, Value, Settings) ->
    case Settings of
        #{Name := Before} -> Settings#{Name := [Line || is(?LISTS, Name), Line <- Before ++ "\n"] ++ Value};
        #{} -> Settings#{Name => Value}
    end.

%% In a unit file, for an older name or that of a property.
name_of("EnvironmentFiles") -> "EnvironmentFile";
name_of("LimitNOFILESoft") -> "LimitNOFILE";
name_of("TimeoutSec") -> "TimeoutStopSec";
name_of("StartLimitInterval") -> "StartLimitIntervalSec";
name_of(Name) -> replace(Name, "USec$", "Sec").

value("Exec" ++ _, "{ path=" ++ _ = Value) ->
    replace(Value, "^.*? ; argv\\[\\]=(.*) ; ignore_errors=.*$", "\\1");
value("Exec" ++ _, Value) ->
    unquoted(replace(Value, "^[@:+!|-]+", ""));
value("Environment", Value) ->
    unquoted(Value);
value("EnvironmentFile", Value) ->
    replace(Value, "^-| \\(ignore_errors=\\w+\\)$", "");
value("LimitNOFILE", Value) ->
    replace(Value, ":.*", "");
value(Name, Value) ->
    case lists:suffix("Sec", Name) of
        true -> replace(Value, "^\\d+$", "&s");
        false -> Value
    end.

unquoted(Value) ->
    Words = replace(Value, "(?<!\\S)(?:\"((?:[^\"\\\\]|\\\\.)*)\"|'((?:[^'\\\\]|\\\\.)*)')(?!\\S)", "\\1\\2"),
    replace(Words, "\\\\([\"'\\\\])", "\\1").

replace(Value, Pattern, By) -> re:replace(Value, Pattern, By, [global, {return, list}]).

%% @doc The settings in the section `[Service]' of a unit file, see systemd.syntax(7): of several assignments of one the
%% last counts, unless it is a list, and an empty one takes those before it back. With the defaults of those that matter
%% here, and the limit of starts, which is in the section `[Unit]'.
-spec parse(unicode:chardata()) -> settings() | {error, no_service_section}.
parse(Text) ->
    %% As systemd reads lines, and as editors of other systems write them.
    Unix = re:replace(re:replace(Text, "^\\xef\\xbb\\xbf", ""), "\r\n?", "\n", [global]),
    Code = re:replace(Unix, "^[ \t]*[#;].*\n?", "", [multiline, global]),
    Joined = re:replace(Code, "\\\\\n", " ", [global, {return, list}]),
    Lines = [string:trim(Line) || Line <- string:split(Joined, "\n", all)],
    case lists:member("[Service]", Lines) of
        true ->
            {_, Settings} = lists:foldl(fun line/2, {none, #{}}, Lines),
            implied(maps:merge(?DEFAULTS, Settings));
        false ->
            {error, no_service_section}
    end.

line([$[ | _] = Section, {_, Settings}) -> {Section, Settings};
line(Line, {"[Service]" = Section, Settings}) -> {Section, assign(Line, Settings)};
line("StartLimit" ++ _ = Line, {"[Unit]" = Section, Settings}) -> {Section, assign(Line, Settings)};
line(_, Other) -> Other.

%% What the manager makes of them, see Type=, WatchdogSec= and DynamicUser= in systemd.service(5) and systemd.exec(5).
implied(#{"DynamicUser" := Dynamic} = Settings) ->
    Implied = case is_yes(Dynamic) of true -> #{"ProtectSystem" => "strict", "PrivateTmp" => "yes"}; false -> #{} end,
    access(maps:merge(Settings, Implied));
implied(Settings) ->
    access(Settings).

access(#{"Type" := Type, "WatchdogSec" := Watchdog} = Settings) ->
    case maps:get("NotifyAccess", Settings, "none") of
        "none" ->
            IsMain = lists:prefix("notify", Type) orelse not is_off(Watchdog) orelse
                not is_off(maps:get("FileDescriptorStoreMax", Settings, "0")),
            Settings#{"NotifyAccess" => case IsMain of true -> "main"; false -> "none" end};
        _ ->
            Settings
    end.

%% @doc As systemd.syntax(7) has it.
-spec is_yes(string()) -> boolean().
is_yes(Value) -> is("(?i)^(1|y|yes|t|true|on)$", Value).

%% @doc Of a limit or a timeout.
-spec is_off(string()) -> boolean().
is_off(Value) -> is("^(0+ *[a-z]*|infinity)$", Value).

is(Pattern, Value) -> re:run(Value, Pattern, [{capture, none}]) =:= match.
