%% Serves what systemd hands over.
-module(live_sockets).

-export([start_link/1]).

%% Answers every line, or datagram, with the name of the socket that it came by.
start_link(Name) ->
    Parent = self(),
    Pid = spawn_link(fun() -> open(Name, Parent) end),
    receive {Pid, up} -> {ok, Pid} end.

open(Name, Parent) ->
    {ok, Options} = systemd:listen_opts(Name),
    case systemd:listen_info(Name) of
        {ok, #{type := stream}} ->
            {ok, Listen} = gen_tcp:listen(0, Options ++ [binary, {active, false}, {packet, line}]),
            Parent ! {self(), up},
            accept(Name, Listen);
        {ok, #{type := dgram}} ->
            {ok, Socket} = gen_udp:open(0, Options ++ [binary, {active, false}]),
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

answer(Name, Line) -> io_lib:format("~s: ~s", [Name, Line]).
