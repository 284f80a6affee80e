%% Projects that take a clean clone of this one as a git dependency: tests/consumers.
-module(consumers_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [{group, releases}, overridden_in_mix, overridden_in_rebar3, recompiled_in_iex].

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
    %% Both build the library by one script: once is enough.
    sh(Consumer, "CARGO_TARGET_DIR=" ++ target(Config) ++ " rebar3 release"),
    Release = filename:join(Consumer, "_build/default/rel/consumer"),
    ?assertEqual([], filelib:wildcard(filename:join(Release, "lib/elixir*"))),
    says_ready(filename:join(Release, "bin/consumer"), "foreground").

%% Where the release of mix_release builds the native library.
target(Config) -> filename:join(proplists:get_value(folder, Config), "consumer-mix/deps/systemd/target").

%% What is not about building it takes the library that is there.
prebuilt(Config) ->
    Deps = filename:join(proplists:get_value(folder, Config), "consumer-mix/deps"),
    "SYSTEMD_NIF_PATH=" ++ filename:join(Deps, "systemd/priv/systemd_nif.so ").

%% Another dependency requires the hex package. Mix refuses the two until the project says `override: true', and then does
%% not look at what version the other one requires.
overridden_in_mix(Config) ->
    Project = filename:join(consumer("overridden", Config), "mix"),
    Mix = prebuilt(Config) ++ "MIX_ENV=prod mix ",
    Refused = sh(Project, "! " ++ Mix ++ "deps.get"),
    ?assertNotEqual(nomatch, string:find(Refused, "is overriding a child dependency")),
    Evaluated = "{Other.children() == [:systemd.ready()], Other.incumbent?(), Application.spec(:systemd, :vsn)}",
    Run = sh(Project, "export OVERRIDE=1; " ++ Mix ++ "do deps.get, run --no-start -e 'IO.inspect " ++ Evaluated ++ "'"),
    ?assertMatch({match, _}, re:run(Run, "{true, false, .0\\.1\\.0.}")).

%% rebar3 takes what the project itself names. It asks the registry all the same for what the other one requires, unless
%% that is overridden.
overridden_in_rebar3(Config) ->
    Folder = consumer("overridden", Config),
    Git = "git -c user.name=x -c user.email=x ",
    Commit = " && git init --quiet -b main && git add . && " ++ Git ++ "commit --quiet --allow-empty -m x",
    [
        begin
            sh(Folder, "cd incumbent" ++ Commit),
            sh(Folder, "cd rebar3_other && echo '{deps, [{systemd, " ++ Required ++ "}]}.' >rebar.config" ++ Commit),
            Environment = [
                Override, "SYSTEMD_GIT=", os:getenv("SYSTEMD_GIT"), " OTHER_GIT=file://", Folder, "/rebar3_other ",
                prebuilt(Config)
            ],
            Evaluated = "[overridden:children() =:= [systemd:ready()], application:load(systemd), "
                "application:get_key(systemd, vsn)]",
            Written = sh(filename:join(Folder, "rebar3"), lists:flatten([
                "rm -rf _build rebar.lock && ", Environment, "rebar3 compile && ",
                "erl -noshell -pa _build/default/lib/*/ebin -eval 'io:format(\"~0p~n\", [", Evaluated, "]), halt().'"
            ])),
            ?assertNotEqual(nomatch, string:find(Written, "[true,ok,{ok,\"0.1.0\"}]"))
        end
     || {Required, Override} <- [
            {"\"~> 0.6\"", "OVERRIDE=1 "},
            {"{git, \"file://" ++ Folder ++ "/incumbent\", {branch, \"main\"}}", ""}
        ]
    ].

%% Somebody works on this project in `iex -S mix', on the Erlang and on the Rust side.
recompiled_in_iex(Config) ->
    Folder = proplists:get_value(folder, Config),
    Project = filename:join(Folder, "systemd"),
    Recorder = recorder:start(),
    Target = target(Config),
    Environment = [{"CARGO_TARGET_DIR", Target}, {"MIX_ENV", "prod"}],
    sh(Project, "CARGO_TARGET_DIR=" ++ Target ++ " MIX_ENV=prod mix compile"),
    Port = open_port({spawn_executable, os:find_executable("iex")}, [
        {args, ["-S", "mix"]}, {cd, Project}, stderr_to_stdout, exit_status,
        {env, [{"NOTIFY_SOCKET", recorder:path(Recorder)}, {"WATCHDOG_USEC", "2000000"} | Environment]}
    ]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    try
        true = port_command(Port, ":systemd.notify(:ready)\n"),
        _ = await(<<"READY=1\n">>, Recorder, 30000),
        %% Mix looks at whole seconds.
        timer:sleep(1100),
        change(filename:join(Project, "native/systemd_core/src/watchdog/overdue.rs"), "VM unresponsive", "VM silent"),
        change(filename:join(Project, "erlang/src/systemd_nif.erl"), "-on_load(load/0).", "-on_load(load/0).\n-export([changed/0]).\nchanged() -> ok."),
        true = port_command(Port, "recompile()\n"),
        true = port_command(Port, ":systemd.notify(status: inspect({:systemd_nif.changed(), :systemd_notify.has_announced(:ready)}))\n"),
        Pings = await(<<"STATUS={:ok, true}\n">>, Recorder, 60000),
        true = port_command(Port, ":systemd.notify(status: \"later\")\n"),
        _ = await(<<"STATUS=later\n">>, Recorder, 5000),
        Later = await_pings(5, Recorder, []),
        Gap = longest_gap(Pings ++ Later),
        io:format(user, "~nrecompiled in IEx: ~b pings, the longest gap ~b ms of 2000~n", [length(Pings ++ Later), Gap]),
        ?assert(Gap < 2000),
        true = port_command(Port, "System.halt()\n"),
        receive {Port, {exit_status, 0}} -> ok after 20000 -> error(still_there) end
    after
        os:cmd("kill -KILL " ++ integer_to_list(Pid)),
        recorder:stop(Recorder)
    end.

change(File, From, To) ->
    {ok, Text} = file:read_file(File),
    Changed = string:replace(Text, From, To),
    ?assertNotEqual(Text, iolist_to_binary(Changed)),
    ok = file:write_file(File, Changed).

%% When pings came before it, in milliseconds.
await(Message, Recorder, Timeout) -> await_until(Message, Recorder, now_millis() + Timeout, []).

await_until(Message, Recorder, Deadline, Pings) ->
    case recorder:next(Recorder, max(0, Deadline - now_millis())) of
        Message -> lists:reverse(Pings);
        <<"WATCHDOG=1\n">> -> await_until(Message, Recorder, Deadline, [now_millis() | Pings]);
        Other -> error({expected, Message, got, Other, written, written()})
    end.

written() ->
    receive {_, {data, Data}} -> Data ++ written()
    after 0 -> []
    end.

await_pings(0, _, Pings) ->
    lists:reverse(Pings);
await_pings(Count, Recorder, Pings) ->
    <<"WATCHDOG=1\n">> = recorder:next(Recorder, 2000),
    await_pings(Count - 1, Recorder, [now_millis() | Pings]).

now_millis() -> erlang:monotonic_time(millisecond).

longest_gap([First | Rest]) ->
    {_, Longest} = lists:foldl(fun(Time, {Last, Gap}) -> {Time, max(Gap, Time - Last)} end, {First, 0}, Rest),
    Longest.

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
