%% Serves what systemd hands over.
-module(live_sockets).

-export([start_link/1, hold/0, hold/2, resume/0, sockets/1, fds/0]).

%% Answers every line, or datagram, with the name of the socket that it came by.
start_link(Name) ->
    Parent = self(),
    Pid = spawn_link(fun() -> open(Name, Parent) end),
    receive {Pid, up} -> {ok, Pid} end.

open(Name, Parent) ->
    case systemd:listen_info(Name) of
        {ok, #{type := seqpacket, listening := true}} ->
            {ok, Listen} = systemd:listen_socket(Name),
            Parent ! {self(), up},
            packets(Name, Listen);
        {ok, #{type := stream}} ->
            {ok, Options} = systemd:listen_opts(Name),
            {ok, Listen} = gen_tcp:listen(0, Options ++ [binary, {active, false}, {packet, line}]),
            Parent ! {self(), up},
            accept(Name, Listen);
        {ok, #{type := dgram}} ->
            {ok, Options} = systemd:listen_opts(Name),
            %% With `binary', OTP 25 fails to receive what has a UNIX path for its sender.
            {ok, Socket} = gen_udp:open(0, Options ++ [{active, false}]),
            Parent ! {self(), up},
            datagrams(Name, Socket)
    end.

accept(Name, Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> lines(Name, Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Name, Listen).

lines(Name, Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} ->
            ok = gen_tcp:send(Socket, answer(Name, Line)),
            lines(Name, Socket);
        {error, closed} ->
            ok
    end.

datagrams(Name, Socket) ->
    {ok, {Address, Port, Line}} = gen_udp:recv(Socket, 0),
    ok = gen_udp:send(Socket, Address, Port, answer(Name, Line)),
    datagrams(Name, Socket).

%% One packet of each connection.
packets(Name, Listen) ->
    {ok, Socket} = socket:accept(Listen),
    {ok, Line} = socket:recv(Socket),
    ok = socket:send(Socket, answer(Name, Line)),
    ok = socket:close(Socket),
    packets(Name, Listen).

answer(Name, Line) -> io_lib:format("~s: ~s", [Name, Line]).

%% What is to come back: a listening socket, a connection half of whose request has been read, a
%% socket for datagrams, and the other half of the story. Returns when the manager has them.
hold(TcpPort, UdpPort) ->
    {ok, Listen} = gen_tcp:listen(TcpPort, [binary, {active, false}, {packet, line}]),
    {ok, Udp} = gen_udp:open(UdpPort, [binary, {active, false}]),
    keep(Listen, Udp).

%% The same, on what came back.
hold() ->
    {ok, TcpOptions} = systemd:listen_opts(listener),
    {ok, Listen} = gen_tcp:listen(0, TcpOptions ++ [binary, {active, false}, {packet, line}]),
    {ok, UdpOptions} = systemd:listen_opts(udp),
    {ok, Udp} = gen_udp:open(0, UdpOptions ++ [binary, {active, false}]),
    keep(Listen, Udp).

keep(Listen, Udp) ->
    {ok, Connection} = gen_tcp:accept(Listen, 10000),
    {ok, Line} = gen_tcp:recv(Connection, 0, 10000),
    ok = systemd:store_term(state, #{read => Line}),
    ok = systemd:store_fds([{Listen, listener}, {Connection, connection}, {Udp, udp}]),
    ok = systemd:barrier(),
    spawn_owner([Listen, Connection, Udp]).

%% Ends the request, answers a new connection and a datagram.
resume() ->
    {ok, #{read := First}} = systemd:fetch_term(state),
    {ok, Connection} = systemd:listen_socket(connection),
    {ok, Second} = socket:recv(Connection, 0, 10000),
    ok = socket:send(Connection, [First, Second]),
    ok = systemd:clear_fds([connection]),
    ok = systemd:barrier(),
    ok = socket:close(Connection),
    {error, {no_such_fd, connection}} = systemd:listen_socket(connection),
    {ok, Options} = systemd:listen_opts(udp),
    {ok, Udp} = gen_udp:open(0, Options ++ [binary, {active, false}]),
    {ok, {Address, Port, Line}} = gen_udp:recv(Udp, 0, 10000),
    ok = gen_udp:send(Udp, Address, Port, answer(udp, Line)),
    ok = gen_udp:close(Udp).

%% So many descriptors, each of a file of its own.
sockets(Count) ->
    Sockets = [element(2, {ok, _} = socket:open(inet, dgram)) || _ <- lists:seq(1, Count)],
    spawn_owner(Sockets),
    Sockets.

%% Sockets are closed with their owner.
spawn_owner(Sockets) ->
    Owner = spawn(fun() -> receive stop -> ok end end),
    [
        case Socket of
            {'$socket', _} -> ok = socket:setopt(Socket, {otp, controlling_process}, Owner);
            _ -> ok = inet:tcp_controlling_process(Socket, Owner)
        end
     || Socket <- Sockets
    ],
    Owner.

%% The descriptors of this process.
fds() ->
    {ok, Fds} = file:list_dir("/proc/self/fd"),
    length(Fds).
