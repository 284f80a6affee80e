%% @private
%% The unit files of a release, for `mix systemd.gen.unit' and `rebar3 systemd gen_unit'. See systemd.service(5),
%% systemd.exec(5), systemd.socket(5).
-module(systemd_unit_file).

-export([options/3, problems/1, files/1, commands/1]).
-export_type([options/0]).

%% A variable of the commands.
-define(OF_RELEASE, "$version").
-define(HIDDEN, "/(home|root|run/user|tmp|var/tmp)(/.*)?").
-define(MEMORY,
    "(?!0*(\\.0*)?[KMGT%]?\\z)"
    "([0-9]{1,18}|[0-9]{1,7}(\\.[0-9]+)?[KMGT]|([0-9]{1,2}(\\.[0-9]{1,2})?|100)%|infinity)"
).

-type options() :: #{
    name := string(), prefix := string(), drain := integer(), credential := [string()], folder := string(),
    atom() => term()
}.
%% The switches, and what else there is between braces in the files of priv/unit.

%% @doc From the switches of a command line, a `credential' for each, and the `version', unless only the release has it.
-spec options(unicode:chardata(), mix | rebar3, [{atom(), term()}]) -> options().
options(Release, Tool, Switches) ->
    Name = text(Release),
    Given = maps:map(fun(_, Value) -> text(Value) end, maps:from_list(Switches)),
    {Opt, Etc} = case Given of #{user_unit := true} -> {"%h/.local/lib/", "%h/.config/"}; #{} -> {"/opt/", "/etc/"} end,
    Defaults = #{prefix => Opt ++ Name, version => ?OF_RELEASE, drain => 30, hardening => true, systemd => 252},
    #{prefix := Prefix, drain := Drain, version := Version} = Options = maps:merge(Defaults, Given),
    Cookie = ["cookie" || is_map_key(distribution, Options)],
    Credentials = lists:usort([text(Credential) || {credential, Credential} <- Switches]) -- Cookie,
    {Folder, Start} = case Tool of mix -> {"rel/systemd", "start"}; rebar3 -> {"config/systemd", "foreground"} end,
    Instance = case Options of #{versions := true} -> "-%i"; #{} -> "" end,
    Options#{
        name => Name,
        mix => Tool =:= mix,
        of_release => Version =:= ?OF_RELEASE,
        folder => Folder,
        instance => Instance,
        command => [Prefix, Instance, "/bin/", Name, " ", Start],
        stop => Drain + 5,
        credential => Credentials,
        secrets => Credentials ++ Cookie,
        etc => Etc ++ Name,
        link => filename:basename(Prefix)
    }.

text(Text) when is_binary(Text); is_list(Text) -> unicode:characters_to_list(Text);
text(Value) -> Value.

%% @doc What is wrong with them, in words.
-spec problems(options()) -> [iodata()].
problems(#{name := Name, prefix := Prefix, drain := Drain, version := Version, systemd := Systemd} = Options) ->
    Credentials = maps:get(credential, Options),
    Versions = maps:get(versions, Options, false),
    Users = maps:get(user_unit, Options, false),
    Socket = maps:get(socket, Options, 1024),
    Ports = maps:values(maps:with([socket, distribution], Options)),
    [
        Problem
     || {false, Problem} <- [
            {fit("[A-Za-z0-9][A-Za-z0-9_.-]*", [Name | Credentials]),
                "a name may contain only letters, digits and - _ ."},
            {Version =:= ?OF_RELEASE orelse fit("[A-Za-z0-9_.+-]+", [Version]),
                ["the version of the release may contain only letters, digits and - _ . +, and is \"", Version, $"]},
            {fit([["(%h)?" || Users], "(/(?!\\.{1,2}(/|\\z))[A-Za-z0-9_.+-]+)+"], [Prefix]),
                "--prefix must be an absolute path of letters, digits and - _ . +, without . or .. as a part"},
            {Users orelse not (maps:get(hardening, Options) andalso fit(?HIDDEN, [Prefix])),
                "--prefix: the sandbox hides /home, /root, /run/user, /tmp and /var/tmp. Choose another folder, or "
                "leave out the sandbox"},
            {not Versions orelse is_map_key(socket, Options), "--versions needs --socket"},
            {not Versions orelse not is_map_key(distribution, Options),
                "--versions excludes --distribution: two versions can't listen on the same port"},
            {not Versions orelse is_map_key(user, Options) orelse fit("[A-Za-z_][A-Za-z0-9_-]{0,30}", [Name]),
                "--versions needs --user: the name of the release is no valid user name"},
            {not Users orelse maps:with([user, low_port, versions], Options) =:= #{},
                "--user-unit excludes --user, --low-port and --versions: the service runs as the user whose systemd "
                "starts it, without more rights, and the script deploy is for root"},
            {not Users orelse Socket >= 1024,
                "--user-unit with --socket: a user's systemd can't open ports below 1024. Choose a higher port, or a "
                "system unit, without --user-unit"},
            {Systemd >= 252,
                "--systemd must be the version that systemctl --version shows on the server, 252 or later"},
            {is_port_number(Socket), "--socket must be a port from 1 to 65535"},
            {is_port_number(maps:get(distribution, Options, 1)), "--distribution must be a port from 1 to 65535"},
            {lists:usort(Ports) =:= lists:sort(Ports), "--distribution and --socket must be different ports"},
            {Drain >= 1 andalso Drain < 2147484, "--drain must be a number of seconds from 1 to 2147483"},
            {fit("[A-Za-z_][A-Za-z0-9_.-]{0,30}|[0-9]{1,9}", maps:values(maps:with([user], Options))),
                "--user must be a name of letters, digits and - _ ., or a number"},
            {fit(?MEMORY, maps:values(maps:with([memory], Options))),
                "--memory must be a number of bytes, a number with K, M, G, T or %, or infinity"}
        ]
    ].

fit(Pattern, Texts) ->
    lists:all(fun(Text) -> re:run(Text, ["^(?:", Pattern, ")\\z"], [unicode]) =/= nomatch end, Texts).

is_port_number(Value) -> Value >= 1 andalso Value < 65536.

%% @doc Where in the project they belong, and what is in them.
-spec files(options()) -> [{file:filename(), iodata()}].
files(#{name := Name, folder := Folder} = Options) ->
    Versions = maps:get(versions, Options, false),
    Service = {"service", [Name, case Versions of true -> "@.service"; false -> ".service" end]},
    Socket = [{"socket", [Name, ".socket"]} || is_map_key(socket, Options)],
    Files = [Service | Socket] ++ [{"deploy", "deploy"} || Versions],
    [{filename:join(Folder, File), render(Kind, Options)} || {Kind, File} <- Files].

%% @doc What to do with them. What runs stays as it is, and what is there is not mixed with what is new.
-spec commands(options()) -> iolist().
commands(Options) -> render("commands", Options).

%% A file of priv/unit. `{{key}}' is a value, `{{~key}}' one for a shell, with `~' instead of systemd's `%h'. A line is
%% there behind `{{#key}}' if there is a value, behind `{{^key}}' if there is none, and behind `{{*key}}' for each of a
%% list, which `{{.}}' is then. `{{>file}}' is another file. The key 258 has a value from that version of systemd on.
render(File, Values) ->
    {ok, Text} = file:read_file(filename:join([systemd_nif:priv_dir(), "unit", File])),
    [line(Line, Values) || Line <- binary:split(string:trim(Text, trailing), <<"\n">>, [global])].

line(Line, Values) ->
    case re:run(Line, "^{{([#^*>])(\\w+)}}(.*)$", [{capture, all_but_first, list}]) of
        {match, [Kind, Key, Rest]} -> line(Kind, Key, Rest, Values);
        nomatch -> [parts(re:split(Line, "{{(~?[a-z_.]+)}}", [{return, list}]), Values), $\n]
    end.

line(">", File, _, Values) ->
    render(File, Values);
line(Kind, Key, Rest, Values) ->
    Value = value(Key, Values),
    case {Kind, lists:member(Value, [false, []])} of
        {"*", _} -> [line(Rest, Values#{'.' => Each}) || Each <- Value];
        {"#", false} -> line(Rest, Values);
        {"^", true} -> line(Rest, Values);
        _ -> []
    end.

parts([Text, Key | Rest], Values) -> [Text, text_of(value(Key, Values)) | parts(Rest, Values)];
parts(Text, _) -> Text.

value([$~ | Key], Values) ->
    string:replace(value(Key, Values), "%h", "~");
value(Key, Values) ->
    case string:to_integer(Key) of
        {Version, ""} -> map_get(systemd, Values) >= Version;
        _ -> maps:get(list_to_atom(Key), Values, false)
    end.

text_of(Number) when is_integer(Number) -> integer_to_list(Number);
text_of(Text) -> Text.
