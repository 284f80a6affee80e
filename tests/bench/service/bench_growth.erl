%% How a call grows: `erl -run bench_growth main WHAT NUMBER' prints nanoseconds of a call, the median of several.
%%   fields NUMBER           a log call with so many fields of metadata
%%   handlers NUMBER         a log call with so many handlers
%%   store_term BYTES FILE   store_term/2, and beside it write(2) to a file with fsync(2)
%%   drainer NUMBER          one look of the drainer at so many open connections
-module(bench_growth).
-export([main/1]).

-include_lib("kernel/include/logger.hrl").

main([What | Args]) ->
    {ok, _} = application:ensure_all_started(systemd),
    [io:format(standard_error, "~b~n", [Nanos]) || Nanos <- measure(What, Args)],
    halt().

measure("fields", [Number]) ->
    handlers(1),
    Fields = [{binary_to_atom(<<"field_", (integer_to_binary(N))/binary>>), N} || N <- lists:seq(1, list_to_integer(Number))],
    log(maps:from_list(Fields));
measure("handlers", [Number]) ->
    handlers(list_to_integer(Number)),
    log(#{});
measure("store_term", [Bytes, File]) ->
    Term = rand:bytes(list_to_integer(Bytes)),
    Store = median(11, fun() -> ok = systemd:store_term(bench, Term) end),
    {ok, Opened} = file:open(File, [write, raw]),
    Write = median(11, fun() ->
        {ok, 0} = file:position(Opened, 0),
        ok = file:write(Opened, Term),
        ok = file:sync(Opened)
    end),
    ok = file:delete(File),
    [Store, Write];
measure("drainer", [Number]) ->
    {ok, Listener} = gen_tcp:listen(0, [{backlog, 1024}, {active, false}, {ip, {0, 0, 0, 0}}]),
    {ok, Port} = inet:port(Listener),
    Open = [connection(Listener, Port, N) || N <- lists:seq(1, list_to_integer(Number))],
    {ok, Fd} = inet:getfd(Listener),
    Look = median(11, fun() -> {ok, {_, _}} = systemd_nif:connections([Fd], 0) end),
    true = length(Open) > 0,
    [Look].

%% From one of several addresses, because each has 28,000 ports.
connection(Listener, Port, N) ->
    From = {127, 0, 1, 1 + N div 20000},
    {ok, Client} = gen_tcp:connect({127, 0, 0, 1}, Port, [{active, false}, {ip, From}]),
    {ok, Server} = gen_tcp:accept(Listener),
    {Client, Server}.

handlers(Number) ->
    ok = logger:remove_handler(default),
    [
        ok = logger:add_handler(list_to_atom("bench_" ++ integer_to_list(N)), systemd_journal_h, #{
            formatter => {logger_formatter, #{template => [msg], single_line => false}},
            config => #{metadata => all}
        })
     || N <- lists:seq(1, Number)
    ].

log(Metadata) ->
    [median(5001, fun() -> ?LOG_NOTICE(<<"request handled">>, Metadata) end)].

median(Count, Fun) ->
    Times = [element(1, timed(Fun)) || _ <- lists:seq(1, Count)],
    lists:nth(Count div 2 + 1, lists:sort(Times)).

timed(Fun) ->
    From = erlang:monotonic_time(),
    Result = Fun(),
    {erlang:convert_time_unit(erlang:monotonic_time() - From, native, nanosecond), Result}.
