%% @private
%% `rebar3 systemd gen_unit', for a project that has this application among its `project_plugins'.
-module(rebar3_systemd).

-export([init/1, do/1, format_error/1]).

-ignore_xref([{providers, create, 1}, {rebar_state, add_provider, 2}]).

%% As those of `mix systemd.gen.unit', which has more to say of each.
-define(OPTIONS, [
    {name, undefined, undefined, string, "the release, if its name is not the application's"},
    {socket, undefined, "socket", integer, "also write a socket unit for this port"},
    {versions, undefined, "versions", boolean, "a unit per version; two versions run side by side during a deploy"},
    {user_unit, undefined, "user-unit", boolean, "units for systemctl --user"},
    {systemd, undefined, "systemd", integer, "the version of the server's systemd; 252 by default"},
    {low_port, undefined, "low-port", boolean, "the service may bind ports below 1024 itself"},
    {notify_reload, undefined, "notify-reload", boolean, "Type=notify-reload; needs systemd 253"},
    {drain, undefined, "drain", integer, "the drainer's limit in seconds; 30 by default"},
    {credential, undefined, "credential", string, "a secret, in the file /etc/RELEASE/NAME; repeat it for each secret"},
    {distribution, undefined, "distribution", integer, "Erlang distribution on this machine, at this port"},
    {memory, undefined, "memory", string, "MemoryMax="},
    {user, undefined, "user", string, "an existing user to run as; by default, one that exists while the service runs"},
    {hardening, undefined, "hardening", boolean, "--hardening=false leaves out the sandbox"},
    {prefix, undefined, "prefix", string, "where the release is, as a link to PREFIX-VERSION; /opt/RELEASE by default"},
    {force, undefined, "force", boolean, "overwrite existing files"}
]).

-spec init(State) -> {ok, State}.
init(State) ->
    Provider = providers:create([
        {name, gen_unit},
        {namespace, systemd},
        {module, ?MODULE},
        {bare, true},
        {deps, [{default, app_discovery}]},
        {example, "rebar3 systemd gen_unit --socket 80"},
        {short_desc, "Writes the systemd units of the release"},
        {desc, "Writes config/systemd/RELEASE.service, and prints the commands that install it."},
        {opts, ?OPTIONS}
    ]),
    {ok, rebar_state:add_provider(State, Provider)}.

-spec do(State) -> {ok, State} | {error, iolist()}.
do(State) ->
    {Switches, _} = rebar_state:command_parsed_args(State),
    case release(proplists:get_value(name, Switches), rebar_state:get(State, relx, [])) of
        {error, _} = Error ->
            Error;
        {Name, Version} ->
            Unit = systemd_unit_file:options(Name, rebar3, Version ++ Switches),
            case systemd_unit_file:problems(Unit) of
                [] -> generate(Unit, proplists:get_bool(force, Switches)), {ok, State};
                Problems -> {error, lists:join("; ", Problems)}
            end
    end.

generate(Unit, Force) ->
    lists:foreach(fun({Path, Text}) -> write(Path, Text, Force) end, systemd_unit_file:files(Unit)),
    rebar_api:console("~ts", [systemd_unit_file:commands(Unit)]).

%% As {relx, [{release, {Name, Version}, Applications, ...}]} has it.
release(Given, Relx) ->
    Named = [element(2, Release) || Release <- Relx, element(1, Release) =:= release],
    Releases = [{atom_to_list(Name), Version} || {Name, Version} <- Named],
    Names = lists:usort([Name || {Name, _} <- Releases]),
    Listed = lists:join(", ", Names),
    Name = case Given of undefined -> default(Names, Relx); _ -> Given end,
    case [Version || {Found, Version} <- Releases, Found =:= Name] of
        [Version] -> {Name, version(Version)};
        [_ | _] -> {Name, []};
        [] when Names =:= [] -> {error, "there is no release in relx of rebar.config"};
        [] when Name =:= undefined -> {error, ["which release: ", Listed, "? rebar3 systemd gen_unit NAME"]};
        [] -> {error, ["there is no release ", Name, " in relx of rebar.config, but ", Listed]}
    end.

default([Name], _) ->
    Name;
default(_, Relx) ->
    case lists:keyfind(default_release, 1, Relx) of
        false -> undefined;
        Default -> case element(2, Default) of {Name, _} -> atom_to_list(Name); Name -> atom_to_list(Name) end
    end.

%% What relx asks Git, a command or a file for, the release knows.
version(Version) ->
    [{version, Version} || io_lib:printable_list(Version), not lists:member(Version, ["git", "semver"])].

write(Path, Text, Force) ->
    case filelib:is_file(Path) andalso not Force of
        true ->
            rebar_api:warn("~ts exists and was not changed: --force overwrites it", [Path]);
        false ->
            ok = filelib:ensure_dir(Path),
            ok = file:write_file(Path, unicode:characters_to_binary(Text)),
            rebar_api:info("~ts", [Path])
    end.

-spec format_error(term()) -> iolist().
format_error(Reason) -> io_lib:format("~ts", [Reason]).
