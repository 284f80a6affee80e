%% @private
%% The unit files of a release, for `mix systemd.gen.unit' and `rebar3 systemd gen_unit'.
%% See systemd.service(5), systemd.exec(5), systemd.socket(5).
-module(systemd_unit_file).

-export([options/3, problems/1, folder/1, files/1, commands/1]).
-export_type([options/0]).

-type options() :: #{
    name := string(),
    release := mix | rebar3,
    %% Where the release is, by a link that is changed for another version.
    prefix := string(),
    version := string(),
    type := string(),
    %% Seconds.
    drain := pos_integer(),
    %% Of a unit of its own, that holds the port.
    socket => inet:port_number(),
    user => string(),
    memory => string(),
    credential := [string()],
    low_port := boolean(),
    %% Where the node listens, on this machine only.
    distribution => inet:port_number(),
    hardening := boolean(),
    %% The other switches.
    atom() => term()
}.

%% @doc From the switches of a command line, a `credential' for each, and the `version'.
-spec options(unicode:chardata(), mix | rebar3, [{atom(), term()}]) -> options().
options(Name, Release, Switches) ->
    Given = maps:map(fun(_, Value) -> text(Value) end, maps:from_list(Switches)),
    Cookie = ["cookie" || {distribution, _} <- Switches],
    Listed = lists:usort([text(Credential) || {credential, Credential} <- Switches]) -- Cookie,
    Defaults = #{
        prefix => "/opt/" ++ text(Name), version => "0", drain => 30, low_port => false, hardening => true
    },
    Type = case Given of #{notify_reload := true} -> "notify-reload"; _ -> "notify" end,
    maps:merge(Defaults, Given#{name => text(Name), release => Release, type => Type, credential => Listed}).

text(Text) when is_binary(Text); is_list(Text) -> unicode:characters_to_list(Text);
text(Value) -> Value.

%% @doc What is wrong with them, in words.
-spec problems(options()) -> [unicode:chardata()].
problems(#{name := Name, drain := Drain, credential := Credentials} = Options) ->
    Words = [maps:get(Key, Options, "none") || Key <- [user, memory]],
    [
        Problem
     || {false, Problem} <- [
            {lists:all(fun is_name/1, [Name | Credentials]), "a name is of letters, digits and - _ ."},
            {re:run(maps:get(prefix, Options), "^(/[A-Za-z0-9_.+-]+)+\\z") =/= nomatch,
                "--prefix is an absolute path of letters, digits and - _ . +"},
            {is_port_number(maps:get(socket, Options, 1)), "--socket is a port from 1 to 65535"},
            {is_port_number(maps:get(distribution, Options, 1)), "--distribution is a port from 1 to 65535"},
            {is_at_least(1, Drain), "--drain is a number of seconds from 1 on"},
            {lists:all(fun is_word/1, Words), "--user and --memory are a word each"}
        ]
    ].

is_name(Text) -> re:run(Text, "^[A-Za-z0-9][A-Za-z0-9_.-]*\\z") =/= nomatch.

is_word(Text) -> re:run(Text, "^[A-Za-z0-9_.%-]+\\z") =/= nomatch.

is_at_least(Least, Value) -> is_integer(Value) andalso Value >= Least.

is_port_number(Value) -> is_at_least(1, Value) andalso Value < 65536.

%% @doc The names of the files, and what is in them.
-spec files(options()) -> [{file:filename(), iodata()}].
files(#{name := Name} = Options) ->
    [{Name ++ "." ++ Kind, render(Kind, values(Options))} || Kind <- ["service" | ["socket" || is_map_key(socket, Options)]]].

values(#{name := Name, prefix := Prefix, release := Release, drain := Drain, credential := Credentials} = Options) ->
    Start = case Release of mix -> " start"; rebar3 -> " foreground" end,
    Options#{
        mix => Release =:= mix,
        command => [Prefix, "/bin/", Name, Start],
        stop => Drain + 5,
        secrets => Credentials ++ ["cookie" || is_map_key(distribution, Options)]
    }.

%% A file of priv/unit. `{{key}}' is a value. A line is there behind `{{#key}}' where there is one, behind `{{^key}}' where
%% there is none, and behind `{{*key}}' for each of a list, which `{{.}}' is then; `{{>file}}' is another file.
render(File, Values) ->
    {ok, Text} = file:read_file(filename:join([systemd_nif:priv_dir(), "unit", File])),
    [line(Line, Values) || Line <- binary:split(string:trim(Text, trailing), <<"\n">>, [global])].

line(Line, Values) ->
    case re:run(Line, "^{{([#^*>])(\\w+)}}(.*)$", [{capture, all_but_first, list}]) of
        {match, [Kind, Word, Rest]} -> line(Kind, Word, Rest, Values);
        nomatch -> [parts(re:split(Line, "{{([a-z_.]+)}}", [{return, list}]), Values), $\n]
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

value(Key, Values) -> maps:get(list_to_atom(Key), Values, false).

text_of(Number) when is_integer(Number) -> integer_to_list(Number);
text_of(Text) -> Text.

%% @doc What to do with them, as root.
-spec commands(options()) -> [iodata()].
commands(#{name := Name, prefix := Prefix, release := Release} = Options) ->
    Versioned = Prefix ++ "-" ++ maps:get(version, Options),
    Units = lists:join(" ", lists:reverse([File || {File, _} <- files(Options)])),
    [["install -D -m 400 ", Credential, " ", secret(Name, Credential)] || Credential <- maps:get(credential, Options)] ++
    [
        ["[ -e ", Cookie, " ] || od -An -N20 -tx1 /dev/urandom | tr -d ' \\n' | install -D -m 400 /dev/stdin ", Cookie]
     || is_map_key(distribution, Options), Cookie <- [secret(Name, "cookie")]
    ] ++
    [
        %% What runs stays as it is, and what is there is not mixed with what is new.
        ["cp -rT --remove-destination _build/prod/rel/", Name, " ", Versioned, " && ln -sfnT ", filename:basename(Versioned), " ", Prefix],
        ["cp ", folder(Release), "/", Name, ".* /etc/systemd/system/"],
        "systemctl daemon-reload",
        ["systemctl enable --now ", Units]
    ].

secret(Name, Credential) -> ["/etc/", Name, "/", Credential].

%% @doc Where the files belong in a project.
-spec folder(mix | rebar3) -> file:filename().
folder(mix) -> "rel/systemd";
folder(rebar3) -> "config/systemd".
