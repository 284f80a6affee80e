%% What `rebar3 systemd gen_unit' makes of rebar.config; rebar3, which runs this, has the modules that it calls. What is in
%% the files is the same as with Mix.
-module(gen_unit_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [versions, names, refused].

init_per_testcase(Case, Config) ->
    {ok, Cwd} = file:get_cwd(),
    Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    ok = file:set_cwd(Dir),
    [{cwd, Cwd} | Config].

end_per_testcase(_, Config) -> file:set_cwd(proplists:get_value(cwd, Config)).

%% The result, the files that were written, and what was said.
run(Switches, Relx) ->
    State = rebar_state:set(rebar_state:new(), relx, Relx),
    ct:capture_start(),
    Result = rebar3_systemd:do(rebar_state:command_parsed_args(State, {Switches, []})),
    ct:capture_stop(),
    Files = filelib:wildcard("config/systemd/*"),
    [ok = file:delete(File) || File <- Files],
    {case Result of {ok, _} -> ok; {error, Problem} -> lists:flatten(Problem) end, Files, lists:append(ct:capture_get([]))}.

%% One that is said in words is in the commands; another one only the release knows.
versions(_) ->
    [
        begin
            {ok, ["config/systemd/a.service"], Said} = run([], [{release, {a, Version}, [b]}]),
            ?assertMatch({Version, {match, _}}, {Version, re:run(Said, Expected)})
        end
     || {Version, Expected} <- [
            {"1.2.3", "rel/a /opt/a-1\\.2\\.3 && ln -sfnT a-1\\.2\\.3 /opt/a\n"}
            | [
                {Version, "    version=\\$\\(cut .*rel/a/releases/start_erl.data\\)\n.*ln -sfnT a-\\$version /opt/a\n"}
             || Version <- [semver, git, "semver", "git", {semver, "x"}, {git, short}, {cmd, "echo 1"}, {file, "VERSION"}, 7]
            ]
        ]
    ],
    %% Of two versions the release says which one it is.
    {ok, [_], Said} = run([], [{release, {a, "1"}, [b]}, {release, {a, "2"}, [b]}]),
    ?assertMatch({match, _}, re:run(Said, "a-\\$version")).

names(_) ->
    Two = [{release, {a, "1"}, [c]}, {mode, prod}, {release, {b, "2"}, [c], []}],
    ?assertMatch({ok, ["config/systemd/b.service"], _}, run([{name, "b"}], Two)),
    ?assertMatch({ok, ["config/systemd/a.service"], _}, run([], [{default_release, {a, "1"}} | Two])),
    ?assertMatch({ok, ["config/systemd/b.service"], _}, run([{name, "b"}], [{default_release, a} | Two])).

refused(_) ->
    Two = [{release, {a, "1"}, [c]}, {release, {b, "2"}, [c]}],
    [
        ?assertEqual({Problem, [], ""}, run(Switches, Relx))
     || {Problem, Switches, Relx} <- [
            {"there is no release in relx of rebar.config", [], []},
            {"which release: a, b? rebar3 systemd gen_unit NAME", [], Two},
            {"there is no release c in relx of rebar.config, but a, b", [{name, "c"}], Two},
            {"the version of the release may contain only letters, digits and - _ . +, and is \"1 2\"", [], [{release, {a, "1 2"}, [b]}]},
            {"--drain must be a number of seconds from 1 to 2147483", [{drain, 0}], [{release, {a, "1"}, [b]}]}
        ]
    ].
