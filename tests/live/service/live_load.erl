%% Clients of an HTTP service on 127.0.0.1, each of which asks again as soon as it is answered, or after a pause.
-module(live_load).

-export([main/4]).

%% They ask until the file is there; one of them for what takes a second. Writes how many requests were answered, how
%% many of those that take a second, why the others were not, and how long, in ms, the slowest of the quick ones took. Options: `keep_alive', so that a connection is used for as
%% long as the service doesn't say that it closes it; `tls'; `{pause, Millis}'.
main(Port, Clients, StopFile, Options) ->
    [{ok, _} = application:ensure_all_started(ssl) || lists:member(tls, Options)],
    Answered = counters:new(2, []),
    Longest = atomics:new(2, []),
    Workers = [
        spawn_monitor(fun() -> work({Port, Options, StopFile, Answered, Longest}, request(Client), none, []) end)
     || Client <- lists:seq(1, Clients)
    ],
    Failures = lists:append([
        receive {'DOWN', Monitor, process, Pid, {failures, Reasons}} -> Reasons end
     || {Pid, Monitor} <- Workers
    ]),
    io:format("~p.~n", [{counters:get(Answered, 1), counters:get(Answered, 2), Failures, atomics:get(Longest, 1)}]),
    halt().

request(1) -> {2, <<"/wait/1">>, <<"hello, after 1 s\n">>};
request(_) -> {1, <<"/">>, <<"hello\n">>}.

work({_, Options, StopFile, Answered, Longest} = Load, {Index, Path, Body} = Request, Connection, Failures) ->
    case filelib:is_regular(StopFile, prim_file) of
        true ->
            exit({failures, Failures});
        false ->
            timer:sleep(proplists:get_value(pause, Options, 0)),
            Start = erlang:monotonic_time(millisecond),
            case ask(Load, Path, Body, Connection) of
                {ok, Next} ->
                    counters:add(Answered, Index, 1),
                    at_least(Longest, Index, erlang:monotonic_time(millisecond) - Start),
                    work(Load, Request, Next, Failures);
                {error, Reason} ->
                    Which = case Connection of none -> fresh; _ -> used end,
                    work(Load, Request, none, [{Which, Reason} | Failures])
            end
    end.

at_least(Longest, Index, Millis) ->
    case atomics:get(Longest, Index) of
        Before when Before < Millis ->
            _ = atomics:compare_exchange(Longest, Index, Before, Millis),
            at_least(Longest, Index, Millis);
        _ ->
            ok
    end.

ask({Port, Options, _, _, _} = Load, Path, Body, none) ->
    Module = case lists:member(tls, Options) of true -> ssl; false -> gen_tcp end,
    More = [{verify, verify_none} || Module =:= ssl],
    case Module:connect({127, 0, 0, 1}, Port, [binary, {active, false} | More], 30000) of
        {ok, Socket} -> ask(Load, Path, Body, {Module, Socket});
        {error, Reason} -> {error, {connect, Reason}}
    end;
ask({_, Options, _, _, _}, Path, Body, {Module, Socket} = Connection) ->
    Close = case lists:member(keep_alive, Options) of true -> ""; false -> "Connection: close\r\n" end,
    Answer =
        case Module:send(Socket, ["GET ", Path, " HTTP/1.1\r\nHost: localhost\r\n", Close, "\r\n"]) of
            ok -> answer(Connection, Body, <<>>);
            {error, Reason} -> {error, {send, Reason}}
        end,
    case Answer of
        {ok, open} -> {ok, Connection};
        {ok, closed} -> Module:close(Socket), {ok, none};
        {error, _} -> Module:close(Socket), Answer
    end.

%% Whole with its last byte, or where it says that it closes the connection, with the end of that.
answer({Module, Socket} = Connection, Body, Read) ->
    case Module:recv(Socket, 0, 30000) of
        {ok, Bytes} ->
            case is_open(<<Read/binary, Bytes/binary>>, Body) of
                true -> {ok, open};
                false -> answer(Connection, Body, <<Read/binary, Bytes/binary>>)
            end;
        {error, closed} ->
            case {Read, binary:split(Read, <<"\r\n\r\n">>)} of
                {<<"HTTP/1.1 200 OK\r\n", _/binary>>, [_, Body]} -> {ok, closed};
                _ -> {error, {incomplete, Read}}
            end;
        {error, Reason} ->
            {error, {recv, Reason, Read}}
    end.

is_open(<<"HTTP/1.1 200 OK\r\n", _/binary>> = Read, Body) ->
    case binary:split(Read, <<"\r\n\r\n">>) of
        [Head, Body] -> re:run(Head, "\r\nconnection: *close", [caseless]) =:= nomatch;
        _ -> false
    end;
is_open(_, _) ->
    false.
