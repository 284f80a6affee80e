%% native/build.sh: which library comes into priv/.
-module(build_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [for_another_machine, without_getconf_and_ldd, target_of_cargo_in_a_folder_with_a_space].

init_per_testcase(_, Config) ->
    Folder = string:trim(os:cmd("mktemp -d")),
    [{folder, Folder} | Config].

end_per_testcase(_, Config) -> file:del_dir_r(folder(Config)).

folder(Config) -> proplists:get_value(folder, Config).

project() -> string:trim(os:cmd("cd " ++ filename:dirname(?FILE) ++ " && git rev-parse --show-toplevel")).

-define(TARGETS, ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "arm-unknown-linux-gnueabihf"]).

%% A package with a library for each of some targets, whose content is its name.
package(Config) ->
    Package = filename:join(folder(Config), "package"),
    {ok, [{application, systemd, Properties}]} = file:consult(project() ++ "/erlang/systemd.app.src"),
    [
        begin
            File = filename:join([Package, "native/prebuilt", Target, "systemd_nif-" ++ proplists:get_value(vsn, Properties) ++ ".so"]),
            ok = filelib:ensure_dir(File),
            ok = file:write_file(File, Target)
        end
     || Target <- ?TARGETS
    ],
    sh(Package, "cd native/prebuilt && sha256sum */*.so >SHA256SUMS"),
    sh(Package, "mkdir erlang && cp " ++ project() ++ "/native/build.sh native && cp " ++ project() ++
        "/erlang/systemd.app.src erlang"),
    Package.

taken(Package, Environment) ->
    _ = file:delete(Package ++ "/priv/systemd_nif.so"),
    sh(Package, Environment ++ " native/build.sh"),
    case file:read_file(Package ++ "/priv/systemd_nif.so") of
        {ok, Target} -> binary_to_list(Target);
        {error, enoent} -> nothing
    end.

for_another_machine(Config) ->
    Package = package(Config),
    ?assertEqual("aarch64-unknown-linux-musl", taken(Package, "TARGET_ARCH=aarch64 TARGET_OS=linux TARGET_ABI=musl")),
    ?assertEqual("arm-unknown-linux-gnueabihf", taken(Package, "TARGET_ARCH=arm TARGET_OS=linux TARGET_ABI=gnueabihf")),
    ?assertEqual("aarch64-unknown-linux-musl", taken(Package, "CARGO_BUILD_TARGET=aarch64-unknown-linux-musl")),
    ?assertEqual(nothing, taken(Package, "TARGET_OS=darwin TARGET_ARCH=aarch64")).

without_getconf_and_ldd(Config) ->
    Package = package(Config),
    ?assertEqual("x86_64-unknown-linux-gnu", taken(Package, "")),
    Bin = filename:join(folder(Config), "bin"),
    sh(folder(Config), "mkdir bin"),
    [
        ok = file:make_symlink(os:find_executable(Tool), filename:join(Bin, Tool))
     || Tool <- ["uname", "tr", "dirname", "cmp", "cp", "mv", "mkdir", "sed", "grep", "sha256sum", "ls", "tail"]
    ],
    ?assertEqual("x86_64-unknown-linux-gnu", taken(Package, "PATH=" ++ Bin)).

%% From a clean clone.
target_of_cargo_in_a_folder_with_a_space(Config) ->
    Clone = filename:join(folder(Config), "it's a clone"),
    sh(folder(Config), "git -c safe.directory='*' clone --quiet " ++ project() ++ " \"it's a clone\""),
    Host = string:trim(sh(Clone, "rustc -vV | sed -n 's/^host: //p'")),
    sh(Clone, "CARGO_BUILD_TARGET=" ++ Host ++ " mix compile"),
    ?assert(filelib:is_regular(Clone ++ "/priv/systemd_nif.so")).

%% What it prints. Fails with that where the command does.
sh(Folder, Command) ->
    Port = open_port({spawn_executable, "/bin/sh"}, [
        {args, ["-c", Command]}, {cd, Folder}, exit_status, stderr_to_stdout
    ]),
    output(Port, []).

output(Port, Output) ->
    receive
        {Port, {data, Data}} -> output(Port, Output ++ Data);
        {Port, {exit_status, 0}} -> Output;
        {Port, {exit_status, Status}} -> error({Status, Output})
    end.
