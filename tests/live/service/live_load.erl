%% Clients of an HTTP service on 127.0.0.1, each of which asks again as soon as it is answered.
-module(live_load).

-export([main/3]).

%% They ask until the file is there; one of them for what takes a second. Writes how many requests were
%% answered, how many of those that take a second, and why the others were not.
main(Port, Clients, StopFile) ->
    Answered = counters:new(2, []),
    Workers = [
        spawn_monitor(fun() -> work(Port, request(Client), StopFile, Answered, []) end)
     || Client <- lists:seq(1, Clients)
    ],
    Failures = lists:append([
        receive {'DOWN', Monitor, process, Pid, {failures, Reasons}} -> Reasons end
     || {Pid, Monitor} <- Workers
    ]),
    io:format("~p.~n", [{counters:get(Answered, 1), counters:get(Answered, 2), Failures}]),
    halt().

request(1) -> {2, <<"/wait/1">>, <<"hello, after 1 s\n">>};
request(_) -> {1, <<"/">>, <<"hello\n">>}.

work(Port, {Index, Path, Body} = Request, StopFile, Answered, Failures) ->
    case filelib:is_regular(StopFile, prim_file) of
        true ->
            exit({failures, Failures});
        false ->
            case ask(Port, Path, Body) of
                ok ->
                    counters:add(Answered, Index, 1),
                    work(Port, Request, StopFile, Answered, Failures);
                {error, _} = Error ->
                    work(Port, Request, StopFile, Answered, [Error | Failures])
            end
    end.

ask(Port, Path, Body) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}], 30000) of
        {ok, Socket} ->
            Answer =
                case gen_tcp:send(Socket, ["GET ", Path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]) of
                    ok -> answer(Socket, Body, <<>>);
                    {error, Reason} -> {error, {send, Reason}}
                end,
            gen_tcp:close(Socket),
            Answer;
        {error, Reason} ->
            {error, {connect, Reason}}
    end.

%% Whole only with its end.
answer(Socket, Body, Read) ->
    case gen_tcp:recv(Socket, 0, 30000) of
        {ok, Bytes} ->
            answer(Socket, Body, <<Read/binary, Bytes/binary>>);
        {error, closed} ->
            case {Read, binary:split(Read, <<"\r\n\r\n">>)} of
                {<<"HTTP/1.1 200 OK\r\n", _/binary>>, [_, Body]} -> ok;
                _ -> {error, {incomplete, Read}}
            end;
        {error, Reason} ->
            {error, {recv, Reason, Read}}
    end.
