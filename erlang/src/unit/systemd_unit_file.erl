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

%% What a line is for, and the line. No comment for one that says it itself.
-type entry() :: {Comment :: iodata(), [Line :: iodata()]}.

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
    [{Name ++ ".service", sections(service(Options))}] ++
        [{Name ++ ".socket", sections(socket(Options))} || is_map_key(socket, Options)].

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

-spec sections([{Section :: string(), [entry()]}]) -> iolist().
sections(Sections) ->
    lists:join("\n", [["[", Name, "]\n", [entry(Entry) || Entry <- Entries]] || {Name, Entries} <- Sections]).

entry({"", Lines}) -> [[Line, "\n"] || Line <- Lines];
entry({Comment, Lines}) -> ["# ", Comment, "\n", entry({"", Lines})].

socket(#{name := Name, socket := Port}) ->
    [
        {"Unit", [{"", [["Description=The port of ", Name]]}]},
        {"Socket", [
            {"Held while the service is down or restarts: connections wait, none is refused.",
                [["ListenStream=", integer_to_list(Port)]]},
            {"The name to ask for: Systemd.listen_opts(\"http\", 4000).", ["FileDescriptorName=http"]}
        ]},
        {"Install", [{"", ["WantedBy=sockets.target"]}]}
    ].

service(#{name := Name} = Options) ->
    [
        {"Unit", unit(Name, Options)},
        {"Service", daemon(Options) ++ user(Options) ++ environment(Options) ++ secrets(Options) ++
            limits(Options) ++ cage(Options)},
        {"Install", [{"", ["WantedBy=multi-user.target"]}]}
    ].

unit(Name, Options) ->
    [{"", [["Description=", Name]]}] ++
    [{"The port comes from there.", [["Requires=", Name, ".socket"]]} || is_map_key(socket, Options)] ++
    [
        {"Once the network is up. A database on this machine belongs here too: After=postgresql.service.",
            ["Wants=network-online.target", "After=network-online.target"]},
        {"However often a start fails: what it needs may be away for longer than five attempts.",
            ["StartLimitIntervalSec=0"]}
    ].

daemon(#{type := Type, drain := Drain} = Options) ->
    [
        {"Up when the supervision tree comes to ready().", [["Type=", Type]]},
        start(Options)
    ] ++
    [
        {"SIGHUP reloads, see the config key reload. From systemd 253 on Type=notify-reload does it.",
            ["ExecReload=/bin/kill -HUP $MAINPID"]}
     || Type =:= "notify"
    ] ++
    [
        {"Killed and started again when it gives no sign of life for so long, see watchdog_check.",
            ["WatchdogSec=10s"]},
        {"Also after a crash, but not after a stop.", ["Restart=on-failure", "RestartSec=2s"]},
        {["More than the ", integer_to_list(Drain), " s that the drainer may take."],
            [["TimeoutStopSec=", integer_to_list(Drain + 5), "s"]]},
        {"SIGTERM is for the VM, which ends its port programs; SIGKILL then for what is left.",
            ["KillMode=mixed"]},
        {"For journalctl -t, also of what is written to standard output.",
            [["SyslogIdentifier=", maps:get(name, Options)]]}
    ].

start(#{distribution := _} = Options) ->
    {"The cookie comes from a credential; exec, because the VM has to be the main process.",
        [["ExecStart=/bin/sh -c 'RELEASE_COOKIE=$$(cat %d/cookie) exec ", command(Options), "'"]]};
start(Options) ->
    {"", [["ExecStart=", command(Options)]]}.

command(#{release := mix} = Options) -> [bin(Options), " start"];
command(#{release := rebar3} = Options) -> [bin(Options), " foreground"].

bin(#{prefix := Prefix, name := Name}) -> [Prefix, "/bin/", Name].

user(#{user := User}) -> [{"", [["User=", User]]}];
user(_) -> [{"A user that is there only while the service runs.", ["DynamicUser=yes"]}].

environment(#{name := Name, release := Release} = Options) ->
    [
        {"Its data, /var/lib/" ++ Name ++ ", which is also its HOME.",
            [["StateDirectory=", Name], "WorkingDirectory=%S/" ++ Name, "Environment=HOME=%S/" ++ Name]},
        {"Where the release writes the configuration that it starts with, if it does.",
            [["RuntimeDirectory=", Name], "RuntimeDirectoryMode=0700", ["Environment=", written(Release), "=%t/", Name]]},
        {"What it writes is its own.", ["UMask=0077"]},
        {"Names of files, and what is read and written, are UTF-8.", ["Environment=LANG=C.UTF-8"]},
        {"No crash dump and no core: they have all memory in them, with all secrets. See watchdog_crash_dump.",
            ["Environment=ERL_CRASH_DUMP_SECONDS=0", "LimitCORE=0"]},
        distribution(Options),
        {"A connection takes one, and a file.", ["LimitNOFILE=65536"]}
    ].

written(mix) -> "RELEASE_TMP";
written(rebar3) -> "RELX_OUT_FILE_PATH".

distribution(#{distribution := Port, release := mix, name := Name} = Options) ->
    Node = ["RELEASE_DISTRIBUTION=name RELEASE_NODE=", Name, "@127.0.0.1"],
    Flags = ["-start_epmd false -erl_epmd_port ", integer_to_list(Port)],
    {[on_this_machine(), ". As root: ERL_FLAGS='", Flags, " -dist_listen false' ", Node, " ", cookie(Name), " ", bin(Options), " rpc ..."],
        [["Environment=", Node], flags([Flags, " " | on_loopback()])]};
distribution(#{distribution := Port, release := rebar3, name := Name} = Options) ->
    Listens = ["ERL_DIST_PORT=", integer_to_list(Port)],
    {[on_this_machine(), ": -name ", Name, "@127.0.0.1 -setcookie ${RELEASE_COOKIE} in vm.args.src. As root: ",
      Listens, " RELX_OUT_FILE_PATH=$(mktemp -d) ", cookie(Name), " ", bin(Options), " rpc ..."],
        [["Environment=", Listens], flags(on_loopback())]};
distribution(#{release := mix}) ->
    {"No Erlang distribution, and no epmd.", ["Environment=RELEASE_DISTRIBUTION=none"]};
distribution(#{release := rebar3}) ->
    {"No Erlang distribution, and no epmd.", [flags("-dist_listen false -start_epmd false")]}.

on_this_machine() -> "Erlang distribution, on this machine only, and no epmd".

on_loopback() -> "-kernel inet_dist_use_interface {127,0,0,1}".

flags(Flags) -> ["Environment=\"ERL_FLAGS=", Flags, "\""].

cookie(Name) -> ["RELEASE_COOKIE=$(cat ", secret(Name, "cookie"), ")"].

secrets(#{name := Name} = Options) ->
    Names = maps:get(credential, Options) ++ ["cookie" || is_map_key(distribution, Options)],
    case [["LoadCredential=", Credential, ":", secret(Name, Credential)] || Credential <- Names] of
        [] -> [{"A secret: read_credential(\"secret_key_base\").",
                [["#LoadCredential=secret_key_base:", secret(Name, "secret_key_base")]]}];
        Lines -> [{"Secrets: files that only root can read, for read_credential/1.", Lines}]
    end.

limits(#{memory := Memory}) ->
    [{"Killed, and started again, when it takes more, and not swapped before.",
        [["MemoryMax=", Memory], "MemorySwapMax=0"]}];
limits(_) ->
    [].

cage(#{hardening := false, low_port := LowPort}) ->
    [{"Ports below 1024.", ["AmbientCapabilities=CAP_NET_BIND_SERVICE"]} || LowPort];
cage(#{low_port := LowPort}) ->
    [
        case LowPort of
            true -> {"Ports below 1024, and nothing else of root's.",
                ["AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"]};
            false -> {"Nothing of root's.", ["CapabilityBoundingSet="]}
        end,
        {"Nor is anything to be had by programs that it starts.", ["NoNewPrivileges=yes", "RestrictSUIDSGID=yes"]},
        {"All files are read-only but its own, and /home is empty.",
            ["ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"]},
        {"Of the devices, null, zero, random and the like.", ["PrivateDevices=yes", "DevicePolicy=closed"]},
        {"Of the processes, its own. ProcSubset=pid is left out: os_mon reads /proc/meminfo and /proc/stat.",
            ["ProtectProc=invisible"]},
        {"The kernel and the machine are not its business.", [
            "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes",
            "ProtectControlGroups=yes", "ProtectClock=yes", "ProtectHostname=yes"
        ]},
        {"", ["RestrictNamespaces=yes", "RestrictRealtime=yes", "LockPersonality=yes", "RemoveIPC=yes", "KeyringMode=private"]},
        {"TCP and UDP; the manager's and the journal's sockets; what inet:getifaddrs/0 asks.",
            ["RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK"]},
        {"The system calls of a service; others fail with EPERM, which the VM bears.", [
            "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
            "SystemCallFilter=~@privileged @resources", "SystemCallErrorNumber=EPERM"
        ]},
        {"But these: of file:write_file_info/2, which a new .erlang.cookie is given to, and of the emulator's +sbt.",
            ["SystemCallFilter=@chown sched_setaffinity"]},
        {"MemoryDenyWriteExecute= is left out: the JIT can't bear it with each of its flags.", []}
    ].
