%% Reloads by a function of the service's, against a recorder.
-module(reload_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        order,
        results,
        failures,
        one_at_a_time,
        before_ready,
        when_stopping,
        ends_while_stopping,
        ends_while_restarting,
        by_itself,
        interrupted,
        asked_for_by_a_signal_and_interrupted,
        asked_for_by_a_signal_and_interrupted_in_it,
        hangs,
        hangs_with_more_time,
        many_signals_while_one_runs,
        leaves_a_process_behind,
        while_the_queue_is_full,
        without_systemd,
        restart_bridges_the_watchdog
    ].

init_per_testcase(_, Config) ->
    _ = application:load(systemd),
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    application:set_env(systemd, warn_about_readiness_message, false),
    log_counter:start(),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    _ = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    [application:unset_env(systemd, Key) || Key <- [warn_about_readiness_message, reload, reload_timeout]],
    log_counter:stop(),
    recorder:stop(proplists:get_value(recorder, Config)).

start(Reload) ->
    application:set_env(systemd, reload, Reload),
    ok = application:start(systemd).

ready(Reload, Config) ->
    start(Reload),
    ok = systemd:notify(ready),
    ?assertEqual(<<"READY=1\n">>, next(Config)).

next(Config) -> recorder:next(proplists:get_value(recorder, Config)).

reloading(Config) ->
    <<"RELOADING=1\nMONOTONIC_USEC=", Usec/binary>> = next(Config),
    binary_to_integer(string:trim(Usec)).

order(Config) ->
    Test = self(),
    ready(fun() -> systemd:notify({status, "rereading"}), Test ! called, ok end, Config),
    ?assertEqual(ok, systemd:reload()),
    receive called -> ok after 0 -> error(not_called) end,
    ?assert(reloading(Config) > 0),
    ?assertEqual(<<"STATUS=rereading\n">>, next(Config)),
    ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(Config)),
    ?assertEqual(["systemd: reloaded"], log_counter:messages()).

results(Config) ->
    Test = self(),
    ready(fun() -> Test ! {give, self()}, receive {result, Result} -> Result end end, Config),
    [
        begin
            Pid = spawn_link(fun() -> Test ! {self(), systemd:reload()} end),
            receive {give, Runner} -> Runner ! {result, Result} end,
            receive {Pid, Returned} -> ?assertEqual(Return, Returned) end,
            _ = reloading(Config),
            ?assertEqual(
                unicode:characters_to_binary(["READY=1\nSTATUS=", Status, "\n"]), next(Config)
            )
        end
     || {Result, Return, Status} <- [
            {ok, ok, "reloaded"},
            {{ok, "3 routes"}, ok, "reloaded: 3 routes"},
            {{ok, <<"größer\nmehr"/utf8>>}, ok, "reloaded: größer mehr"},
            {{ok, #{routes => 3}}, ok, "reloaded: #{routes => 3}"},
            {true, ok, "reloaded: true"},
            {{ok, error}, ok, "reloaded: error"},
            {{ok, {error, none}}, ok, "reloaded: {error,none}"},
            {<<255, 1>>, ok, "reloaded: <<255,1>>"},
            {lists:duplicate(2000, $x), ok, ["reloaded: ", lists:duplicate(490, $x)]},
            {error, {error, {reload_failed, error}}, "reload failed: error"},
            {{error, "no file"}, {error, {reload_failed, "no file"}}, "reload failed: no file"},
            {{error, enoent}, {error, {reload_failed, enoent}}, "reload failed: enoent"}
        ]
    ].

failures(Config) ->
    ready(undefined, Config),
    [
        begin
            application:set_env(systemd, reload, Reload),
            ?assertEqual({error, {reload_failed, Reason}}, systemd:reload()),
            _ = reloading(Config),
            ?assertEqual(
                iolist_to_binary(["READY=1\nSTATUS=reload failed: ", Status, "\n"]), next(Config)
            ),
            Line = lists:last(log_counter:messages()),
            ?assertMatch("systemd: reload failed, and the service goes on: " ++ _, Line),
            ?assert(string:find(Line, Logged) =/= nomatch)
        end
     || {Reload, Reason, Status, Logged} <- [
            {
                {erlang, binary_to_integer, [<<"secret">>]},
                {error, badarg},
                "it raised error badarg, see the log",
                %% With the function, and without its arguments.
                "erlang,binary_to_integer,1,"
            },
            {fun() -> exit({secret, 1}) end, {exit, {secret, 1}}, "it raised exit secret, see the log", "{secret,1}"},
            {fun() -> throw("secret") end, {throw, "secret"}, "it raised throw term, see the log", "\"secret\""},
            {
                fun() -> error(#{'__struct__' => 'Elixir.KeyError', term => "secret"}) end,
                {error, #{'__struct__' => 'Elixir.KeyError', term => "secret"}},
                "it raised error 'Elixir.KeyError', see the log",
                "\"secret\""
            },
            {
                fun() -> exit(self(), kill) end,
                killed,
                "it was ended by an exit signal killed, see the log",
                "killed"
            },
            {
                fun() -> spawn_link(fun() -> exit({oops, "secret"}) end), receive never -> ok end end,
                {oops, "secret"},
                "it was ended by an exit signal oops, see the log",
                "{oops,\"secret\"}"
            },
            {
                {no, "secret"},
                {no, "secret"},
                "it can't be called, see the log",
                "can't be called: {no,\"secret\"} is neither {M, F, A} nor fun/0"
            }
        ]
    ].

%% Five who ask while one runs get one more, and the answer of that one.
one_at_a_time(Config) ->
    Test = self(),
    ready(fun() -> Test ! {begun, self()}, receive go -> ok end end, Config),
    First = spawn_link(fun() -> ok = systemd:reload(), Test ! {self(), done} end),
    Runner = receive {begun, Pid} -> Pid end,
    gen_event:notify(erl_signal_server, sighup),
    Others = [spawn_link(fun() -> ok = systemd:reload(), Test ! {self(), done} end) || _ <- "12345"],
    [await_waiting(Other) || Other <- Others],
    Runner ! go,
    receive {First, done} -> ok end,
    Again = receive {begun, Pid2} -> Pid2 end,
    [receive {Other, done} -> error(too_early) after 0 -> ok end || Other <- Others],
    Again ! go,
    [receive {Other, done} -> ok end || Other <- Others],
    receive {begun, _} -> error(once_too_often) after 200 -> ok end,
    [
        begin
            _ = reloading(Config),
            ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(Config))
        end
     || _ <- [1, 2]
    ].

await_waiting(Pid) ->
    case process_info(Pid, current_function) of
        {current_function, {gen, do_call, 4}} -> ok;
        _ -> timer:sleep(1), await_waiting(Pid)
    end.

%% READY=1 would end the start-up.
before_ready(Config) ->
    start(fun() -> {ok, "early"} end),
    ?assertEqual(ok, systemd:reload()),
    ?assertEqual(<<"STATUS=reloaded: early\n">>, next(Config)).

when_stopping(Config) ->
    Test = self(),
    ready(fun() -> Test ! called, ok end, Config),
    ok = systemd:notify(stopping),
    ?assertEqual({error, stopping}, systemd:reload()),
    ?assertEqual({error, stopping}, systemd:reload([{mode, embedded}])),
    ?assertEqual(<<"STOPPING=1\n">>, next(Config)),
    Refused = "systemd: not reloaded, because the service is stopping",
    ?assertEqual([Refused, Refused], log_counter:messages()),
    receive called -> error(called) after 0 -> ok end,
    ?assertEqual([], recorder:all(proplists:get_value(recorder, Config))).

%% Its end is no news any more: READY=1 would say that the service runs.
ends_while_stopping(Config) ->
    ends(fun() -> ok = systemd:notify(stopping), ?assertEqual(<<"STOPPING=1\n">>, next(Config)) end, Config).

ends_while_restarting(Config) ->
    ends(
        fun() ->
            ok = systemd_reload:restart(fun() -> ok end, []),
            _ = reloading(Config)
        end,
        Config
    ),
    persistent_term:erase(systemd_lifecycle).

ends(Begin, Config) ->
    Test = self(),
    ready(fun() -> Test ! {begun, self()}, receive go -> ok end end, Config),
    Asking = spawn_link(fun() -> Test ! {self(), systemd:reload()} end),
    Runner = receive {begun, Pid} -> Pid end,
    _ = reloading(Config),
    Begin(),
    Runner ! go,
    receive {Asking, Result} -> ?assertEqual(ok, Result) end,
    ?assertEqual({error, stopping}, systemd:reload()),
    ?assertEqual([], recorder:all(proplists:get_value(recorder, Config))).

%% It would wait for itself.
by_itself(Config) ->
    Test = self(),
    ready(fun() -> Test ! systemd:reload(), ok end, Config),
    ?assertEqual(ok, systemd:reload()),
    receive Result -> ?assertEqual({error, {reload_failed, reloading}}, Result) end.

%% The manager does not wait for the end of a reload whose process has gone.
interrupted(Config) ->
    Test = self(),
    ready(fun() -> Test ! {begun, self()}, receive never -> ok end end, Config),
    Asking = spawn(fun() -> Test ! {self(), systemd:reload()} end),
    Runner = receive {begun, Pid} -> monitor(process, Pid), Pid end,
    exit(whereis(systemd_reload), kill),
    receive {'DOWN', _, process, Runner, _} -> ok end,
    receive {Asking, Result} -> ?assertEqual({error, {reload_failed, killed}}, Result) end,
    _ = reloading(Config),
    ?assertEqual(<<"READY=1\nSTATUS=reload failed: interrupted\n">>, next(Config)).

%% Nobody waits for it who could ask again.
asked_for_by_a_signal_and_interrupted(Config) ->
    Test = self(),
    ready(fun() -> Test ! called, ok end, Config),
    Pid = whereis(systemd_reload),
    ok = sys:suspend(Pid),
    gen_event:notify(erl_signal_server, sighup),
    await_messages(Pid),
    exit(Pid, kill),
    receive called -> ok after 2000 -> error(not_called) end,
    _ = reloading(Config),
    ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(Config)).

%% Also while it runs.
asked_for_by_a_signal_and_interrupted_in_it(Config) ->
    Test = self(),
    Calls = counters:new(1, []),
    Function = fun() ->
        counters:add(Calls, 1, 1),
        Test ! called,
        case counters:get(Calls, 1) of 1 -> receive never -> ok end; _ -> ok end
    end,
    ready(Function, Config),
    gen_event:notify(erl_signal_server, sighup),
    receive called -> ok end,
    exit(whereis(systemd_reload), kill),
    receive called -> ok after 2000 -> error(not_called) end,
    _ = reloading(Config),
    ?assertEqual(<<"READY=1\nSTATUS=reload failed: interrupted\n">>, next(Config)),
    _ = reloading(Config),
    ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(Config)),
    receive called -> error(once_too_often) after 200 -> ok end.

await_messages(Pid) ->
    case process_info(Pid, message_queue_len) of
        {_, 0} -> await_messages(Pid);
        {_, _} -> ok
    end.

%% The next one is none the worse for it.
hangs(Config) ->
    Test = self(),
    application:set_env(systemd, reload_timeout, 100),
    ready(fun() -> Test ! {begun, self()}, timer:sleep(infinity) end, Config),
    Asking = spawn_link(fun() -> Test ! {self(), systemd:reload()} end),
    Runner = receive {begun, Pid} -> Pid end,
    gen_event:notify(erl_signal_server, sighup),
    await_waiting_signal(),
    application:set_env(systemd, reload, fun() -> ok end),
    receive {Asking, Result} -> ?assertEqual({error, {reload_failed, timeout}}, Result) end,
    ?assertNot(is_process_alive(Runner)),
    _ = reloading(Config),
    ?assertEqual(
        <<"READY=1\nSTATUS=reload failed: not done after 100 ms, at timer:sleep/1\n">>, next(Config)
    ),
    _ = reloading(Config),
    ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(Config)),
    ?assertMatch(
        [
            "systemd: reload failed, and the service goes on: not done after 100 ms, at [{timer,sleep,1," ++ _,
            "systemd: reloaded"
        ],
        log_counter:messages()
    ).

await_waiting_signal() ->
    case sys:get_state(systemd_reload) of
        State when element(4, State) =:= none -> await_waiting_signal();
        _ -> ok
    end.

hangs_with_more_time(Config) ->
    application:set_env(systemd, reload_timeout, 100),
    Slow = fun() -> systemd:extend_timeout_while(fun() -> timer:sleep(400) end, [{limit, 5000}]), timer:sleep(400), ok end,
    ready(Slow, Config),
    ?assertEqual(ok, systemd:reload()),
    ?assert(lists:member(<<"READY=1\nSTATUS=reloaded\n">>, recorder:all(proplists:get_value(recorder, Config)))).

%% They are one more reload, and take no process meanwhile.
many_signals_while_one_runs(Config) ->
    Test = self(),
    ready(fun() -> Test ! {begun, self()}, receive go -> ok end end, Config),
    gen_event:notify(erl_signal_server, sighup),
    First = receive {begun, Pid} -> Pid end,
    Before = erlang:system_info(process_count),
    [gen_event:notify(erl_signal_server, sighup) || _ <- lists:seq(1, 200)],
    %% All of them have come.
    _ = gen_event:which_handlers(erl_signal_server),
    await_waiting_signal(),
    ?assert(erlang:system_info(process_count) - Before < 20),
    First ! go,
    receive {begun, Second} -> Second ! go end,
    receive {begun, _} -> error(once_too_often) after 200 -> ok end.

%% What is linked to a function ends with it, and that is no crash.
leaves_a_process_behind(Config) ->
    Test = self(),
    ready(fun() -> {ok, Pid} = gen_event:start_link(), Test ! {left, Pid}, ok end, Config),
    logger:set_primary_config(level, all),
    Reports = crash_reports(fun() ->
        ?assertEqual(ok, systemd:reload()),
        receive {left, Pid} ->
            Monitor = monitor(process, Pid),
            receive {'DOWN', Monitor, process, Pid, _} -> ok end
        end
    end),
    logger:set_primary_config(level, notice),
    ?assertEqual([], Reports).

crash_reports(Fun) ->
    Test = self(),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => Test}),
    Fun(),
    timer:sleep(100),
    ok = logger:remove_handler(?MODULE),
    crash_reports().

crash_reports() -> receive {crash_report, Report} -> [Report | crash_reports()] after 0 -> [] end.

log(#{msg := {report, #{label := {_, Label}} = Report}}, #{config := Test}) when Label =:= crash; Label =:= terminate ->
    Test ! {crash_report, Report};
log(_, _) ->
    ok.

%% Nobody reads: what can't be said is logged, and the function is called all the same.
while_the_queue_is_full(Config) ->
    Test = self(),
    ready(fun() -> Test ! called, ok end, Config),
    recorder:fill(proplists:get_value(recorder, Config)),
    {Micros, Result} = timer:tc(fun() -> systemd:reload() end),
    ?assertEqual({error, eagain}, Result),
    receive called -> ok after 0 -> error(not_called) end,
    ?assert(Micros < 6000000).

without_systemd(_) ->
    os:unsetenv("NOTIFY_SOCKET"),
    start(fun() -> error(called) end),
    ?assertEqual(ok, systemd:reload()),
    ?assertEqual(ok, systemd:reload([{mode, embedded}])),
    ?assertError(badarg, systemd:reload([{mode, other}])).

restart_bridges_the_watchdog(Config) ->
    os:putenv("WATCHDOG_USEC", "3000000"),
    try
        start(restart),
        ?assertEqual(<<"WATCHDOG=1\n">>, next(Config)),
        ok = systemd:notify(ready),
        ?assertEqual(<<"READY=1\n">>, next(Config)),
        application:set_env(systemd, restart_timeout, 5000),
        ok = systemd:watchdog(disable),
        _ = recorder:all(proplists:get_value(recorder, Config)),
        Test = self(),
        ok = systemd_reload:restart(fun() -> Test ! restarted, ok end, []),
        receive restarted -> ok end,
        <<"RELOADING=1\nMONOTONIC_USEC=", Rest/binary>> = next(Config),
        ?assertMatch([_, <<"WATCHDOG_USEC=5000000">>, <<>>], binary:split(Rest, <<"\n">>, [global])),
        %% As the next VM does it, which has announced nothing: its check may fail until it is ready.
        ok = application:stop(systemd),
        persistent_term:erase({systemd_notify, announced_to}),
        application:set_env(systemd, watchdog_check, {persistent_term, get, [well, false]}),
        ok = application:start(systemd),
        ?assertEqual(nothing, recorder:next(proplists:get_value(recorder, Config), 1000)),
        ok = systemd:notify(ready),
        ?assertEqual(<<"READY=1\n">>, next(Config)),
        %% Two processes send these.
        ?assertEqual(
            [<<"STATUS=watchdog: persistent_term:get/2 returned false\n">>, <<"WATCHDOG_USEC=3000000\n">>],
            lists:sort([next(Config), next(Config)])
        ),
        ?assertEqual(nothing, recorder:next(proplists:get_value(recorder, Config), 500)),
        persistent_term:put(well, true),
        ?assertEqual([<<"STATUS=\n">>, <<"WATCHDOG=1\n">>], [next(Config), next(Config)]),
        ?assertEqual(false, os:getenv("SYSTEMD_WATCHDOG_BRIDGED"))
    after
        [application:unset_env(systemd, Key) || Key <- [restart_timeout, watchdog_check]],
        persistent_term:erase(well),
        persistent_term:erase(systemd_lifecycle),
        ok = application:stop(systemd),
        os:unsetenv("WATCHDOG_USEC")
    end.
