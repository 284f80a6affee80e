%% What systemd hands over. That it does is shown in tests/live.
-module(listen_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        wrong_environment, names_that_do_not_fit, some_are_closed, before_the_application, several_of_a_name,
        close_on_exec, connections,
        info_and_options, taken_over, no_such_fd, another_name, credentials, library_missing
    ].

-define(VARIABLES, ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "CREDENTIALS_DIRECTORY"]).

init_per_testcase(_, Config) ->
    log_counter:start(),
    application:load(systemd),
    Config.

end_per_testcase(_, _) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ?VARIABLES],
    log_counter:stop().

set(Variables) -> [os:putenv(Name, Value) || {Name, Value} <- Variables].

%% Each is told in one line that names what is wrong.
wrong_environment(_) ->
    Own = os:getpid(),
    [
        begin
            set(Variables),
            ok = application:start(systemd),
            ?assertEqual([], systemd:listen_fds()),
            ?assertEqual({error, {no_such_fd, a}}, systemd:listen_opts(a)),
            ok = application:stop(systemd),
            [Line] = log_counter:messages(),
            ct:pal("~ts", [Line]),
            ?assertMatch([_ | _], string:find(Line, Part)),
            ets:delete_all_objects(log_counter),
            [os:unsetenv(Name) || Name <- ?VARIABLES]
        end
     || {Variables, Part} <- [
            {[{"LISTEN_FDS", "1"}, {"LISTEN_PID", "1"}], "LISTEN_PID=1 is not this process"},
            {[{"LISTEN_FDS", "1"}], "LISTEN_PID is not set"},
            {[{"LISTEN_FDS", "1"}, {"LISTEN_PID", "x"}], "LISTEN_PID=x is not"},
            {[{"LISTEN_FDS", "zwölf"}, {"LISTEN_PID", Own}], "LISTEN_FDS=zwölf is not"},
            {[{"LISTEN_FDS", "0"}, {"LISTEN_PID", Own}], "LISTEN_FDS=0 is not"}
        ] ++ [
            {[{"LISTEN_FDS", "1"}, {"LISTEN_PID", Own}, {"LISTEN_PIDFDID", "1"}], "LISTEN_PIDFDID=1 is not this process"}
         || os:version() >= {6, 9, 0}
        ]
    ].

%% As a wrapper may set them that hands its own descriptors on.
names_that_do_not_fit(_) ->
    [
        begin
            ?assertEqual(Fds, with_three_fds(Names, "systemd:listen_fds()")),
            ?assertEqual(
                ["systemd: LISTEN_FDS=3, but LISTEN_FDNAMES=" ++ Names ++ " has " ++ integer_to_list(Count) ++ " names"],
                with_three_fds(Names, logged("ok = application:start(systemd)"))
            )
        end
     || {Names, Count, Fds} <- [
            {"a:b", 2, [{3, "a"}, {4, "b"}, 5]},
            {"a:b:c:d", 4, [{3, "a"}, {4, "b"}, {5, "c"}]},
            {"", 0, [3, 4, 5]}
        ]
    ].

%% A number that is out of date. Some of what it counts are the VM's own, which nobody can tell.
some_are_closed(_) ->
    Open = "3</etc/passwd 4</etc/passwd",
    ?assertMatch([{3, "a"}, {4, "b"} | _], with_fds(Open, 1000, "a:b", "systemd:listen_fds()")),
    Start = logged("ok = application:start(systemd)"),
    [_, Line] = with_fds(Open, 1000, "a:b", Start),
    ?assertMatch("systemd: LISTEN_FDS=1000, but these descriptors are closed: " ++ _, Line),
    ?assertNotMatch(nomatch, re:run(Line, ", 100, ")),
    %% As many as there may be would take minutes.
    ?assertMatch([_, "systemd: LISTEN_FDS=1000000000, but these" ++ _], with_fds(Open, 1000000000, "a:b", Start)).

%% What a VM says that is started with files as its descriptors 3, 4 and 5.
with_three_fds(Names, Expression) -> with_fds("3</etc/passwd 4</etc/passwd 5</etc/passwd", 3, Names, Expression).

with_fds(Redirections, Count, Names, Expression) ->
    PidfdId = "LISTEN_PIDFDID=$(python3 -c 'import os; print(os.fstat(os.pidfd_open(os.getppid())).st_ino)')",
    Format = "exec ~s; LISTEN_FDS=~b LISTEN_PID=$$ " ++ PidfdId ++ " LISTEN_FDNAMES=~s exec \"$@\"",
    Command = io_lib:format(Format, [Redirections, Count, Names]),
    result("/bin/sh", ["-c", lists:flatten(Command), "sh" | erl(Expression)]).

%% The lines that the log has of it.
logged(Expression) ->
    "code:add_patha(\"" ++ filename:dirname(code:which(?MODULE)) ++ "\"),"
    "logger:remove_handler(default), logger:set_primary_config(level, all), log_counter:start()," ++ Expression ++
        ", log_counter:messages()".

erl(Expression) ->
    ["erl", "-noinput", "-kernel", "logger_level", "none", "-pa", service:ebin(), "-eval",
        "io:format(\"~w.\", [begin " ++ Expression ++ " end]), halt()."].

result(Command, Args) ->
    Executable = os:find_executable(Command),
    Port = open_port({spawn_executable, Executable}, [{args, Args}, exit_status]),
    {ok, Tokens, _} = erl_scan:string(output(Port)),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

output(Port) ->
    receive
        {Port, {data, Data}} -> Data ++ output(Port);
        {Port, {exit_status, 0}} -> [];
        {Port, {exit_status, Status}} -> error({exit_status, Status})
    after 20000 -> error(timeout)
    end.

before_the_application(_) ->
    Expected = [{3, "a"}, 4, {5, "a"}],
    ?assertEqual(
        {Expected, Expected, [], Expected},
        with_three_fds(
            "a::a",
            "One = systemd:listen_fds(),"
            "ok = application:start(systemd),"
            "Two = systemd:listen_fds(),"
            "Set = [Name || {\"LISTEN_\" ++ _ = Name, _} <- os:env()],"
            "ok = application:stop(systemd),"
            "{One, Two, Set, systemd:listen_fds()}"
        )
    ).

several_of_a_name(_) ->
    Several = {error, {several_fds, a, [3, 5]}},
    ?assertEqual(
        {Several, Several, {error, enotsock}},
        with_three_fds(
            "a:b:a",
            "ok = application:start(systemd),"
            "{systemd:listen_opts(a), systemd:listen_opts(a, 80), systemd:listen_opts(b)}"
        )
    ).

close_on_exec(_) ->
    Read =
        "Flags = fun() ->"
        "  [begin"
        "     {ok, Info} = file:read_file(\"/proc/self/fdinfo/\" ++ integer_to_list(Fd)),"
        "     {match, [Octal]} = re:run(Info, \"flags:\\\\s*(\\\\d+)\", [{capture, all_but_first, binary}]),"
        "     binary_to_integer(Octal, 8) band 8#2000000 =/= 0"
        "   end || Fd <- [3, 4, 5]]"
        " end,",
    ?assertEqual(
        {[false, false, false], [true, true, true]},
        with_three_fds("a:b:c", Read ++ "Before = Flags(), ok = application:start(systemd), {Before, Flags()}")
    ).

%% What a VM says that is handed these sockets of Python, as "a", "b" and "c".
with_sockets(Sockets, Expression) ->
    Script =
        "import os, socket, sys\n"
        "spare = [socket.socket() for _ in range(3)]\n"
        "def listener(family, address):\n"
        "    made = socket.socket(family)\n"
        "    made.bind(address)\n"
        "    made.listen()\n"
        "    return made\n"
        "sockets = " ++ Sockets ++ "\n"
        "for at, given in enumerate(sockets, 3): os.dup2(given.fileno(), at, inheritable=True)\n"
        "names = ':'.join('abc'[:len(sockets)])\n"
        "os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n",
    result("python3", ["-c", Script | erl(Expression)]).

%% Each end goes to one of the many who ask at once, and its end is the end of the connection.
connections(_) ->
    [
        ?assertEqual(
            {[1, 1, 20], {ok, <<"hi">>}, {error, closed}, [{5, "c"}], {error, {no_such_fd, a}}, {error, enotsock}},
            with_sockets(
                "[*socket.socketpair(socket.AF_UNIX, socket." ++ Type ++ "),"
                " listener(socket.AF_INET, ('127.0.0.1', 0))]",
                "ok = application:start(systemd),"
                "Self = self(),"
                "Ask = fun(Name) ->"
                "  Pids = [spawn(fun() ->"
                "    receive go -> ok end,"
                "    R = systemd:listen_socket(Name),"
                "    [ok = socket:setopt(S, {otp, controlling_process}, Self) || {ok, S} <- [R]],"
                "    Self ! {self(), R}"
                "  end) || _ <- lists:seq(1, 20)],"
                "  [Pid ! go || Pid <- Pids],"
                "  Rs = [receive {Pid, R} -> R end || Pid <- Pids],"
                "  Lost = [R || {error, {no_such_fd, N}} = R <- Rs, N =:= Name],"
                "  Got = [S || {ok, S} <- Rs],"
                "  20 = length(Got) + length(Lost),"
                "  Got"
                " end,"
                "As = [A | _] = Ask(a),"
                "Bs = [B | _] = Ask(b),"
                "Cs = Ask(c),"
                "ok = socket:send(A, <<\"hi\">>),"
                "Hi = socket:recv(B, 0, 5000),"
                "ok = socket:close(A),"
                "End = case socket:recv(B, 0, 5000) of {ok, <<>>} -> {error, closed}; Other -> Other end,"
                "{[length(Each) || Each <- [As, Bs, Cs]], Hi, End, systemd:listen_fds(),"
                " systemd:listen_socket(a), systemd:listen_socket(3)}"
            )
        )
     || Type <- ["SOCK_STREAM", "SOCK_SEQPACKET"]
    ].

fd(Socket) ->
    {ok, Fd} = inet:getfd(Socket),
    Fd.

local(Config) ->
    Path = filename:join("/tmp", "systemd-" ++ os:getpid()),
    _ = file:delete(Path),
    {Path, [{ifaddr, {local, Path}} | Config]}.

info_and_options(_) ->
    ok = application:start(systemd),
    {Path, Local} = local([]),
    [
        begin
            {ok, Socket} = Open(Options),
            {ok, Address} = inet:sockname(Socket),
            Fd = fd(Socket),
            Expected = #{
                fd => Fd,
                family => Family,
                type => Type,
                listening => Type =:= stream,
                connected => false,
                address => Address
            },
            ?assertEqual({ok, Expected}, systemd:listen_info(Fd)),
            {ok, [{fd, Fd}, Family | More]} = systemd:listen_opts(Fd),
            ?assertEqual([{backlog, 4096} || Type =:= stream], More),
            Both = [{fd, Fd}, Family | More],
            ?assertEqual({ok, 0, Both}, systemd:listen_opts(Fd, 80)),
            gen_tcp:close(Socket),
            ?assertEqual({error, bad_descriptor}, systemd:listen_info(Fd)),
            ?assertEqual({error, bad_descriptor}, systemd:listen_opts(Fd)),
            ?assertEqual({error, bad_descriptor}, systemd:listen_opts(Fd, 80)),
            ?assertEqual({error, bad_descriptor}, systemd:listen_socket(Fd))
        end
     || {Open, Options, Family, Type} <- [
            {fun listen/1, [inet, {ip, {127, 0, 0, 1}}], inet, stream},
            {fun listen/1, [inet6], inet6, stream},
            {fun listen/1, Local, local, stream},
            {fun open/1, [inet], inet, dgram},
            {fun open/1, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}], inet6, dgram}
        ]
    ],
    file:delete(Path),
    {ok, Listen} = listen([]),
    {ok, Port} = inet:port(Listen),
    {ok, Connection} = gen_tcp:connect("localhost", Port, []),
    ?assertMatch(
        {error, {unfit_fd, #{connected := true, listening := false, type := stream}}},
        systemd:listen_opts(fd(Connection))
    ),
    ?assertEqual({error, enotsock}, systemd:listen_opts(0)).

listen(Options) -> gen_tcp:listen(0, Options).
open(Options) -> gen_udp:open(0, Options).

%% The options make a socket that accepts, of both kinds that gen_tcp has; and again when it was
%% closed, because OTP leaves a descriptor alone that it did not make.
taken_over(_) ->
    ok = application:start(systemd),
    {ok, First} = socket:open(inet6, stream),
    ok = socket:bind(First, #{family => inet6, addr => loopback, port => 0}),
    ok = socket:listen(First),
    {ok, #{port := Port}} = socket:sockname(First),
    {ok, Fd} = socket:getopt(First, {otp, fd}),
    {ok, 0, Options} = systemd:listen_opts(Fd, 80),
    [
        begin
            {ok, Listen} = gen_tcp:listen(0, Backend ++ Options ++ [inet, binary, {active, false}]),
            Client = client(Port),
            {ok, Socket} = gen_tcp:accept(Listen, 5000),
            ?assertEqual({ok, <<"hi">>}, gen_tcp:recv(Socket, 2, 5000)),
            ok = gen_tcp:close(Socket),
            ok = gen_tcp:close(Listen),
            gen_tcp:close(Client)
        end
     || Backend <- [[], [], [{inet_backend, socket}], [{inet_backend, socket}]]
    ],
    {ok, Listen} = systemd:listen_socket(Fd),
    Client = client(Port),
    {ok, Socket} = socket:accept(Listen, 5000),
    ?assertEqual({ok, <<"hi">>}, socket:recv(Socket, 2, 5000)),
    [ok = socket:close(Each) || Each <- [Socket, Listen, First]],
    gen_tcp:close(Client).

client(Port) ->
    {ok, Client} = gen_tcp:connect({0, 0, 0, 0, 0, 0, 0, 1}, Port, [inet6]),
    ok = gen_tcp:send(Client, "hi"),
    Client.

%% One line, where it is not a machine without systemd.
another_name(_) ->
    Logged =
        "ok = logger:set_primary_config(level, notice),"
        "ok = logger:add_primary_filter(said, {fun(#{msg := {F, A}}, To) -> To ! io_lib:format(F, A), stop end, self()}),"
        "Options = systemd:listen_opts(http, 80),"
        "{Options, receive Text -> lists:flatten(Text) after 1000 -> nothing end}",
    {{ok, 80, []}, Text} = with_three_fds("hello.socket:b:c", Logged),
    ?assertEqual(
        "systemd: no descriptor named http was passed; using port 80. Passed: "
        "[{3,\"hello.socket\"},{4,\"b\"},{5,\"c\"}]. Set FileDescriptorName= in the socket unit", Text
    ),
    ?assertEqual({{ok, 80, []}, nothing}, result("env", erl(Logged))).

no_such_fd(_) ->
    ok = application:start(systemd),
    [
        begin
            ?assertEqual({error, {no_such_fd, Name}}, systemd:listen_opts(Name)),
            ?assertEqual({error, {no_such_fd, Name}}, systemd:listen_socket(Name)),
            ?assertEqual({error, {no_such_fd, Name}}, systemd:listen_info(Name)),
            ?assertEqual({ok, 4000, []}, systemd:listen_opts(Name, 4000))
        end
     || Name <- [http, "http", <<"http">>, "a:b", {no, name}, -1]
    ],
    ?assertError(badarg, systemd:listen_opts(http, 65536)),
    ?assertEqual([], log_counter:messages()).

credentials(Config) ->
    Directory = proplists:get_value(priv_dir, Config),
    ?assertEqual({error, enoent}, systemd:credentials(password)),
    os:putenv("CREDENTIALS_DIRECTORY", Directory),
    ok = file:write_file(filename:join(Directory, "pässword"), <<"s3cret", 0, 255>>),
    [
        begin
            {ok, Path} = systemd:credentials(Name),
            ?assertEqual({ok, <<"s3cret", 0, 255>>}, file:read_file(Path)),
            ?assertEqual({ok, <<"s3cret", 0, 255>>}, systemd:read_credential(Name))
        end
     || Name <- ['pässword', "pässword", <<"pässword"/utf8>>]
    ],
    [
        begin
            ?assertEqual({error, Reason}, systemd:credentials(Name)),
            ?assertEqual({error, Reason}, systemd:read_credential(Name))
        end
     || {Name, Reason} <- [
            {other, enoent}, {"..", einval}, {"a/b", einval}, {"", einval}, {"a\0", einval}, {7, einval}
        ]
    ],
    ?assertEqual([], log_counter:messages()).

library_missing(_) ->
    ok = application:start(systemd),
    persistent_term:put(systemd_nif, "gone"),
    try
        ?assertEqual([], systemd:listen_fds()),
        ?assertEqual({error, {no_such_fd, a}}, systemd:listen_opts(a)),
        ?assertEqual({ok, 80, []}, systemd:listen_opts(a, 80)),
        ?assertEqual({error, nif_not_loaded}, systemd:listen_info(3)),
        ?assertEqual({error, {no_such_fd, a}}, systemd:fetch_term(a)),
        application:stop(systemd),
        set([{"LISTEN_FDS", "1"}, {"LISTEN_PID", os:getpid()}]),
        ok = application:start(systemd),
        ?assertEqual([], systemd:listen_fds()),
        ?assertMatch(["systemd: ignoring LISTEN_FDS=1: the native" ++ _], log_counter:messages())
    after
        persistent_term:put(systemd_nif, loaded)
    end.
