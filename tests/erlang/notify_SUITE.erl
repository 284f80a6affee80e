%% The exact bytes that go over the socket.
-module(notify_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        every_state, one_datagram_for_a_list, reloading_has_a_time, chardata, one_line_status,
        invalid_states, invalid_values, too_long, watchdog_commands, manager_gone_and_back,
        unreachable_is_logged_once, abstract_socket, barrier
    ].

init_per_testcase(abstract_socket, Config) -> Config;
init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    log_counter:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    ok = application:start(systemd),
    [{recorder, Recorder} | Config].

end_per_testcase(abstract_socket, _) -> ok;
end_per_testcase(_, Config) ->
    application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    log_counter:stop(),
    recorder:stop(recorder(Config)).

recorder(Config) -> proplists:get_value(recorder, Config).

sent(State, Config) ->
    ok = systemd:notify(State),
    recorder:next(recorder(Config)).

every_state(Config) ->
    [
        ?assertEqual({State, Bytes}, {State, sent(State, Config)})
     || {State, Bytes} <- [
            {ready, <<"READY=1\n">>},
            {stopping, <<"STOPPING=1\n">>},
            {restart_reset, <<"RESTART_RESET=1\n">>},
            {{status, <<"warm">>}, <<"STATUS=warm\n">>},
            {{errno, 2}, <<"ERRNO=2\n">>},
            {{buserror, "org.example.Error"}, <<"BUSERROR=org.example.Error\n">>},
            {{varlinkerror, <<"org.example.Error">>}, <<"VARLINKERROR=org.example.Error\n">>},
            {{exit_status, 255}, <<"EXIT_STATUS=255\n">>},
            {{mainpid, 4711}, <<"MAINPID=4711\n">>},
            {{notify_access, all}, <<"NOTIFYACCESS=all\n">>},
            {{watchdog_usec, 20000000}, <<"WATCHDOG_USEC=20000000\n">>},
            {{extend_timeout, {5, second}}, <<"EXTEND_TIMEOUT_USEC=5000000\n">>},
            {{extend_timeout, {5, millisecond}}, <<"EXTEND_TIMEOUT_USEC=5000\n">>},
            {{extend_timeout, {5, microsecond}}, <<"EXTEND_TIMEOUT_USEC=5\n">>},
            {{extend_timeout, {5001, nanosecond}}, <<"EXTEND_TIMEOUT_USEC=6\n">>},
            {{extend_timeout, {native(1), native}}, <<"EXTEND_TIMEOUT_USEC=1000000\n">>},
            {{extend_timeout, {1, 100}}, <<"EXTEND_TIMEOUT_USEC=10000\n">>},
            {{x_key, "v"}, <<"X_KEY=v\n">>},
            {{'X_KEY', <<"a=b">>}, <<"X_KEY=a=b\n">>},
            {{"x_key", "v"}, <<"X_KEY=v\n">>},
            {{<<"x_key">>, 7}, <<"X_KEY=7\n">>}
        ]
    ].

native(Seconds) -> erlang:convert_time_unit(Seconds, second, native).

one_datagram_for_a_list(Config) ->
    ?assertEqual(<<"READY=1\nSTATUS=up\n">>, sent([ready, {status, "up"}], Config)),
    ok = systemd:notify([]),
    ?assertEqual([], recorder:all(recorder(Config))).

reloading_has_a_time(Config) ->
    <<"RELOADING=1\nMONOTONIC_USEC=", Rest/binary>> = sent(reloading, Config),
    [Usec, <<>>] = binary:split(Rest, <<"\n">>),
    %% The clock of the manager: seconds since boot.
    {ok, Uptime} = file:read_file("/proc/uptime"),
    [Seconds | _] = binary:split(Uptime, <<" ">>),
    ?assert(abs(binary_to_integer(Usec) / 1.0e6 - binary_to_float(Seconds)) < 5).

chardata(Config) ->
    Expected = <<"STATUS=grün ✓\n"/utf8>>,
    [
        ?assertEqual(Expected, sent({status, Text}, Config))
     || Text <- [
            <<"grün ✓"/utf8>>,
            "grün ✓",
            ["gr", [$ü, <<"n">>], " " | <<"✓"/utf8>>],
            [[], [[], "grün"], 32, [[[10003]]]]
        ]
    ].

one_line_status(Config) ->
    ?assertEqual(<<"STATUS=a READY=1 b \n">>, sent({status, "a\nREADY=1\0b\r"}, Config)),
    ?assertEqual(<<"STATUS=caf", 16#fffd/utf8, "\n">>, sent({status, <<"caf", 233>>}, Config)).

invalid_states(Config) ->
    [
        ?assertEqual({error, {invalid_state, Invalid}}, systemd:notify(State))
     || {State, Invalid} <- [
            {redy, redy},
            {42, 42},
            {{status}, {status}},
            {{1, "x"}, {1, "x"}},
            {[ready, redy], redy},
            {[ready | tail], tail},
            {"READY=1", $R},
            {<<"READY=1">>, <<"READY=1">>}
        ]
    ],
    ?assertEqual([], recorder:all(recorder(Config))).

invalid_values(Config) ->
    [
        ?assertEqual({error, {invalid_value, Key}}, systemd:notify({Key, Value}))
     || {Key, Value} <- [
            {status, 42},
            {status, [16#d800]},
            {status, [-1]},
            {status, make_ref()},
            {errno, -1},
            {errno, 4096},
            {errno, "two"},
            {exit_status, 256},
            {mainpid, 0},
            {mainpid, 1 bsl 40},
            {notify_access, some},
            {watchdog_usec, 1 bsl 64},
            {extend_timeout, 5},
            {extend_timeout, {5, fortnight}},
            {extend_timeout, {5, 0}},
            {extend_timeout, {-5, second}},
            {extend_timeout, {1 bsl 63, second}},
            {buserror, "a\nREADY=1"},
            {x_key, "a\nREADY=1"},
            {x_key, "a\0"},
            {'X=Y', "1"},
            {"X\nREADY", "1"},
            {'', "1"}
        ]
    ],
    %% One wrong state, and nothing of the list is sent.
    ?assertEqual({error, {invalid_value, errno}}, systemd:notify([ready, {errno, -1}])),
    ?assertEqual([], recorder:all(recorder(Config))).

too_long(Config) ->
    Longest = binary:copy(<<"a">>, 4096 - byte_size(<<"STATUS=\n">>)),
    ?assertEqual(<<"STATUS=", Longest/binary, "\n">>, sent({status, Longest}, Config)),
    [
        ?assertEqual({error, emsgsize}, systemd:notify(State))
     || State <- [
            {status, [$a, Longest]},
            {status, lists:duplicate(1000000, [])},
            {status, binary:copy(<<"a">>, 10000000)},
            [ready, {status, Longest}],
            lists:duplicate(1000, ready)
        ]
    ],
    ?assertEqual([], recorder:all(recorder(Config))).

watchdog_commands(Config) ->
    ok = systemd:watchdog(ping),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(recorder(Config))),
    ok = systemd:watchdog(trigger),
    ?assertEqual(<<"WATCHDOG=trigger\n">>, recorder:next(recorder(Config))),
    %% No WATCHDOG_USEC, no watchdog.
    ?assertEqual(false, systemd:watchdog(state)),
    ?assertEqual(ok, systemd:watchdog(enable)),
    ?assertEqual(ok, systemd:watchdog(disable)),
    ?assertError(badarg, systemd:watchdog(feed)).

manager_gone_and_back(Config) ->
    Path = recorder:path(recorder(Config)),
    recorder:stop(recorder(Config)),
    ?assertEqual({error, enoent}, systemd:notify(ready)),
    Successor = recorder:start(Path),
    ?assertEqual(ok, systemd:notify({status, "back"})),
    ?assertEqual(<<"STATUS=back\n">>, recorder:next(Successor)),
    recorder:stop(Successor).

unreachable_is_logged_once(Config) ->
    recorder:stop(recorder(Config)),
    [{error, enoent} = systemd:notify(ready) || _ <- lists:seq(1, 100)],
    ?assertMatch([_], [Text || Text <- log_counter:messages(), string:find(Text, "enoent") =/= nomatch]),
    %% Something else that goes wrong is something else to say.
    [{error, {invalid_value, errno}} = systemd:notify({errno, x}) || _ <- lists:seq(1, 100)],
    ?assertMatch([_, _], log_counter:messages()).

abstract_socket(_) ->
    Recorder = recorder:start("@systemd-test-" ++ os:getpid()),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    ok = application:start(systemd),
    ?assertEqual(<<"READY=1\n">>, sent(ready, [{recorder, Recorder}])),
    application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    recorder:stop(Recorder).

%% Nobody here closes the descriptor: the live tests show the other outcome.
barrier(Config) ->
    ?assertEqual({error, etimedout}, systemd:barrier(50)),
    ?assertEqual(<<"BARRIER=1\n">>, recorder:next(recorder(Config))),
    ?assertError(badarg, systemd:barrier(-1)).
