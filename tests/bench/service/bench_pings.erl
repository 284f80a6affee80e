%% A watched VM with so many processes that always have work, for so many seconds: `erl -run bench_pings main BUSY SECONDS'.
-module(bench_pings).
-export([main/1]).

main([Busy, Seconds]) ->
    _ = process_flag(priority, max),
    Path = os:getenv("NOTIFY_SOCKET"),
    {ok, _} = application:ensure_all_started(systemd),
    [spawn(fun busy/0) || _ <- lists:seq(1, list_to_integer(Busy))],
    timer:sleep(1000 * list_to_integer(Seconds)),
    %% Pings that have ended are a gap as well.
    {ok, Socket} = socket:open(local, dgram),
    ok = socket:sendto(Socket, <<"END=1">>, #{family => local, path => Path}),
    halt().

busy() ->
    _ = lists:sort([integer_to_binary(N) || N <- lists:seq(1, 500)]),
    busy().
