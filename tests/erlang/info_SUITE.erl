%% What systemd:info/0 says, and that it asks nobody.
-module(info_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        not_started, not_under_systemd, nothing_can_be_sent, what_was_announced, what_was_sent, pings_count,
        what_failed, one_of_a_manager, debug_invocation, journal, asks_nobody
    ].

init_per_testcase(_, Config) ->
    log_counter:start(),
    [{recorder, recorder:start()} | Config].

end_per_testcase(_, Config) ->
    application:stop(systemd),
    [
        os:unsetenv(Name)
     || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC", "INVOCATION_ID", "LISTEN_FDS", "LISTEN_PID", "DEBUG_INVOCATION"]
    ],
    application:unset_env(systemd, debug_invocation),
    log_counter:stop(),
    recorder:stop(recorder(Config)).

recorder(Config) -> proplists:get_value(recorder, Config).

start(Config) ->
    os:putenv("NOTIFY_SOCKET", recorder:path(recorder(Config))),
    ok = application:start(systemd).

empty() ->
    #{
        under_systemd => false, uptime => false, pid => false, exec_pid => false, unit => false,
        invocation_id => false, debug_invocation => false, notify_socket => false, error => false, announced => [], status => false,
        notifications => #{sent => 0, failed => 0}, watchdog => false, journal => #{},
        descriptors => #{handed_over => [], store_max => unknown}
    }.

not_started(Config) ->
    start(Config),
    ok = application:stop(systemd),
    %% The variable is back in the environment.
    ?assertEqual((empty())#{under_systemd := true, error := not_started}, systemd:info()),
    os:unsetenv("NOTIFY_SOCKET"),
    ?assertEqual(empty(), systemd:info()).

not_under_systemd(_) ->
    os:putenv("INVOCATION_ID", "of the shell"),
    ok = application:start(systemd),
    #{uptime := Uptime, pid := Pid} = Info = systemd:info(),
    ?assert(is_integer(Uptime)),
    ?assertEqual(os:getpid(), integer_to_list(Pid)),
    ?assertEqual(empty(), Info#{uptime := false, pid := false, exec_pid := false}).

nothing_can_be_sent(_) ->
    os:putenv("NOTIFY_SOCKET", "relative"),
    ok = application:start(systemd),
    ?assertMatch(
        #{
            under_systemd := true,
            notify_socket := <<"relative">>,
            error := {invalid_notify_socket, <<"relative">>},
            announced := [],
            notifications := #{sent := 0, failed := 0}
        },
        systemd:info()
    ).

what_was_announced(Config) ->
    start(Config),
    ?assertMatch(#{under_systemd := true, error := false, announced := [], status := false}, systemd:info()),
    ok = systemd:notify([ready, {status, "grün\n"}]),
    ?assertMatch(#{announced := [ready], status := <<"grün "/utf8>>}, systemd:info()),
    ok = systemd:notify(reloading),
    ok = systemd:notify(stopping),
    ?assertMatch(#{announced := [ready, reloading, stopping]}, systemd:info()).

counts() -> maps:get(notifications, systemd:info()).

what_was_sent(Config) ->
    start(Config),
    ?assertEqual(#{sent => 0, failed => 0}, counts()),
    [ok = systemd:notify({status, "x"}) || _ <- [1, 2, 3]],
    ok = systemd:notify([]),
    ok = systemd:clear_fds([a, b]),
    ?assertEqual(5, length(recorder:all(recorder(Config)))),
    ?assertEqual(#{sent => 5, failed => 0}, counts()),
    %% The next life counts its own.
    ok = application:stop(systemd),
    start(Config),
    ?assertEqual(#{sent => 0, failed => 0}, counts()).

pings_count(Config) ->
    os:putenv("WATCHDOG_USEC", "50000"),
    start(Config),
    [<<"WATCHDOG=1\n">> = recorder:next(recorder(Config)) || _ <- lists:seq(1, 10)],
    ?assert(soon(fun() -> maps:get(sent, counts()) >= 10 end, 2000)),
    ?assertEqual(0, maps:get(failed, counts())),
    %% And those that nobody gets, which the log then tells of.
    recorder:stop(recorder(Config)),
    ?assert(soon(fun() -> maps:get(failed, counts()) > 0 end, 2000)).

soon(Fun, Millis) -> Fun() orelse Millis > 0 andalso begin timer:sleep(5), soon(Fun, Millis - 5) end.

what_failed(Config) ->
    start(Config),
    {error, {invalid_value, errno}} = systemd:notify({errno, -1}),
    {error, etimedout} = systemd:barrier(1),
    {error, bad_descriptor} = systemd:store_fds([999999]),
    %% The barrier has come to the manager's queue.
    ?assertEqual(#{sent => 1, failed => 3}, counts()),
    recorder:stop(recorder(Config)),
    {error, enoent} = systemd:notify(ready),
    ?assertMatch(#{announced := [], notifications := #{sent := 1, failed := 4}}, systemd:info()).

one_of_a_manager(Config) ->
    os:putenv("WATCHDOG_USEC", "60000000"),
    os:putenv("INVOCATION_ID", "0123456789abcdef"),
    os:putenv("LISTEN_FDS", "0"),
    os:putenv("LISTEN_PID", os:getpid()),
    start(Config),
    NotifySocket = list_to_binary(recorder:path(recorder(Config))),
    ?assertMatch(
        #{
            notify_socket := NotifySocket,
            invocation_id := <<"0123456789abcdef">>,
            watchdog := #{timeout := 60000, enabled := true, overdue := false},
            descriptors := #{handed_over := []}
        },
        systemd:info()
    ).

debug_invocation(Config) ->
    #{level := Level} = logger:get_primary_config(),
    Start = fun() ->
        start(Config),
        {maps:get(debug_invocation, systemd:info()), maps:get(level, logger:get_primary_config())}
    end,
    ?assertEqual({false, Level}, Start()),
    ok = application:stop(systemd),
    os:putenv("DEBUG_INVOCATION", "1"),
    application:set_env(systemd, debug_invocation, false),
    ?assertEqual({true, Level}, Start()),
    ok = application:stop(systemd),
    application:unset_env(systemd, debug_invocation),
    try ?assertEqual({true, debug}, Start())
    after logger:set_primary_config(level, Level)
    end.

journal(_) ->
    Journal = recorder:start(),
    ok = journald:add(Journal, #{send_timeout => 0}),
    Path = list_to_binary(recorder:path(Journal)),
    Of = fun() -> maps:get(journal, systemd:info()) end,
    ?assertEqual(#{journal => #{path => Path, reachable => true, sent => 0, dropped => 0}}, Of()),
    [logger:error("line ~b", [N]) || N <- [1, 2, 3]],
    [#{} = maps:from_list(journald:next(Journal)) || _ <- [1, 2, 3]],
    ?assertEqual(#{journal => #{path => Path, reachable => true, sent => 3, dropped => 0}}, Of()),
    recorder:stop(Journal),
    ?assertEqual(#{journal => #{path => Path, reachable => false, sent => 3, dropped => 0}}, Of()),
    %% It went to standard error, and so was not dropped.
    logger:error("elsewhere"),
    ?assertEqual(#{journal => #{path => Path, reachable => false, sent => 3, dropped => 0}}, Of()),
    Back = recorder:start(recorder:path(Journal)),
    logger:error("back"),
    ?assertEqual(#{journal => #{path => Path, reachable => true, sent => 4, dropped => 0}}, Of()),
    recorder:stop(Back),
    ok = journald:remove(),
    ?assertEqual(#{}, Of()).

%% No process that could be stuck.
asks_nobody(Config) ->
    os:putenv("WATCHDOG_USEC", "60000000"),
    start(Config),
    Journal = recorder:start(),
    ok = journald:add(Journal),
    ok = systemd:notify(ready),
    Self = self(),
    Stuck = [
        whereis(Name)
     || Name <- [systemd_sup, systemd_watchdog, systemd_log, systemd_reload, logger, application_controller, file_server_2, code_server]
    ],
    [true = erlang:suspend_process(Pid) || Pid <- Stuck],
    _ = spawn(fun() -> Self ! systemd:info() end),
    Info = receive Answer -> Answer after 5000 -> stuck end,
    [true = erlang:resume_process(Pid) || Pid <- Stuck],
    ok = journald:remove(),
    recorder:stop(Journal),
    ?assertMatch(#{announced := [ready], watchdog := #{}, journal := #{journal := #{reachable := true}}}, Info).
