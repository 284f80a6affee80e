%% Projects that take a clean clone of this one as a git dependency: tests/consumers.
-module(consumers_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [{group, releases}].

groups() -> [{releases, [parallel], [mix_release, rebar3_release]}].

suite() -> [{timetrap, {minutes, 5}}].

%% The service's folder is given to git by another owner sometimes, hence safe.directory.
init_per_suite(Config) ->
    Folder = string:trim(os:cmd("mktemp -d")),
    Git = filename:join(Folder, "systemd"),
    os:putenv("GIT_CONFIG_GLOBAL", filename:join(Folder, "gitconfig")),
    sh(Folder, "git config --global safe.directory '*'"),
    sh(Folder, "git clone --quiet " ++ project() ++ " " ++ Git),
    sh(Git, "git checkout --quiet -B main"),
    os:putenv("SYSTEMD_GIT", "file://" ++ Git),
    [{folder, Folder} | Config].

end_per_suite(Config) ->
    [os:unsetenv(Name) || Name <- ["SYSTEMD_GIT", "GIT_CONFIG_GLOBAL"]],
    file:del_dir_r(proplists:get_value(folder, Config)).

project() ->
    string:trim(sh(filename:dirname(?FILE), "git rev-parse --show-toplevel")).

mix_release(Config) ->
    Consumer = consumer("mix", Config),
    sh(Consumer, "MIX_ENV=prod mix do deps.get, release"),
    says_ready(filename:join(Consumer, "_build/prod/rel/consumer/bin/consumer"), "start").

rebar3_release(Config) ->
    Consumer = consumer("rebar3", Config),
    sh(Consumer, "rebar3 release"),
    Release = filename:join(Consumer, "_build/default/rel/consumer"),
    ?assertEqual([], filelib:wildcard(filename:join(Release, "lib/elixir*"))),
    says_ready(filename:join(Release, "bin/consumer"), "foreground").

consumer(Name, Config) ->
    Folder = proplists:get_value(folder, Config),
    sh(Folder, "cp -R " ++ filename:join([project(), "tests/consumers", Name]) ++ " consumer-" ++ Name),
    filename:join(Folder, "consumer-" ++ Name).

%% Fails with what the command wrote.
sh(Folder, Command) ->
    Port = open_port({spawn_executable, "/bin/sh"}, [
        {args, ["-c", Command]}, {cd, Folder}, exit_status, stderr_to_stdout
    ]),
    output(Command, Port, []).

output(Command, Port, Written) ->
    receive
        {Port, {data, Data}} -> output(Command, Port, [Written | Data]);
        {Port, {exit_status, 0}} -> lists:flatten(Written);
        {Port, {exit_status, Status}} -> error({Command, Status, lists:flatten(Written)})
    end.

says_ready(Release, Command) ->
    Recorder = recorder:start(),
    Port = open_port({spawn_executable, Release}, [
        {args, [Command]},
        %% No epmd, which would stay behind.
        {env, [
            {"NOTIFY_SOCKET", recorder:path(Recorder)},
            {"RELEASE_DISTRIBUTION", "none"},
            {"ERL_FLAGS", "-dist_listen false -start_epmd false"}
        ]},
        exit_status
    ]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    try
        ?assertEqual(<<"READY=1\nSTATUS=ready\n">>, recorder:next(Recorder, 30000)),
        os:cmd("kill -TERM " ++ integer_to_list(Pid)),
        ?assertEqual(<<"STOPPING=1\n">>, recorder:next(Recorder, 30000)),
        receive {Port, {exit_status, Status}} -> ?assertEqual(0, Status)
        after 30000 -> error(still_there)
        end
    after
        os:cmd("kill -KILL " ++ integer_to_list(Pid)),
        recorder:stop(Recorder)
    end.
