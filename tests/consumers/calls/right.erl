%% Calls as a user writes them, of which Dialyzer has nothing to say: see tests/dialyzer.
-module(right).
-export([children/0, notifications/0, sockets/0, state/0, rest/0]).

children() ->
    [
        systemd:set_status(#{up => [{status, "up"}], down => {status, <<"down">>}}),
        systemd:set_status([{down, [stopping, {status, ["drai", $n, "ing"]}]}]),
        systemd:status_every(5000, fun() -> io_lib:format("~b processes", [erlang:system_info(process_count)]) end),
        systemd:extend_timeout_while_stopping([{limit, 600000}, {status, "draining"}]),
        systemd:ready(),
        systemd:ready("serving")
    ].

notifications() ->
    ok = systemd:notify(ready),
    ok = systemd:notify([ready, {status, "serving"}, {x_users, 7}, {"X_NAME", <<"name">>}]),
    case systemd:notify({extend_timeout, {5, second}}) of
        ok -> systemd:barrier(1000);
        {error, Reason} -> {error, Reason}
    end.

sockets() ->
    {ok, Port, Options} = systemd:listen_opts(http, 4000),
    {ok, Socket} = gen_tcp:listen(Port, Options ++ [binary, {active, false}]),
    {ok, Connection} = systemd:listen_socket("connection"),
    ok = systemd:store_fds([{Socket, "listener"}, {3, <<"three">>}, Connection]),
    ok = systemd:clear_fds(["listener", three]),
    systemd:listen_fds().

state() ->
    ok = systemd:store_term("state", #{a => 1}),
    case systemd:fetch_term(state) of
        {ok, Term} -> Term;
        {error, _} -> systemd:read_credential("secret")
    end.

rest() ->
    Millis = systemd:extend_timeout_while(fun() -> 42 end, [{limit, 1000}]) + 1,
    ok = systemd:watchdog(ping),
    ok = systemd:watchdog(trigger),
    case systemd:watchdog(state) of
        false -> {Millis, systemd:is_journal(standard_error), systemd:booted()};
        Timeout -> Timeout + Millis
    end.
