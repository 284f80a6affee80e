%% The native thread: it pings on its owner's word, and only then.
-module(watchdog_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        pings_on_true_only, one_question_at_a_time, a_late_answer_counts, disabled_asks_nothing,
        ends_with_its_owner, a_thousand_threads, the_check_has_a_process_of_its_own,
        what_failed_is_the_status_until_all_is_well, an_invalid_setting_is_told_of, no_check_while_it_goes_down,
        still_failing_when_it_goes_down, no_check_while_disabled, quiet_when_asked_before_ready, info,
        started_without_descriptors, its_process_is_killed, orders_by_many
    ].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    {ok, Notifier} = systemd_nif:open(list_to_binary(recorder:path(Recorder)), true),
    [{recorder, Recorder}, {notifier, Notifier} | Config].

end_per_testcase(_, Config) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]],
    recorder:stop(proplists:get_value(recorder, Config)).

-define(HOUR, 3600000000).

start(Config, IntervalMillis) ->
    {ok, Watchdog} = systemd_nif:watchdog_start(
        proplists:get_value(notifier, Config), [], ?HOUR, IntervalMillis * 1000, ?HOUR, withhold
    ),
    Watchdog.

%% It ends with the last reference to it, and would do so as soon as nothing more is done with it.
stop(Watchdog) -> ok = systemd_nif:watchdog_order(Watchdog, stop).

tick() ->
    receive {systemd_watchdog, tick, Tick} -> Tick
    after 2000 -> error(not_asked)
    end.

pings(Config) -> recorder:next(proplists:get_value(recorder, Config), 100).

pings_on_true_only(Config) ->
    Watchdog = start(Config, 1),
    systemd_nif:watchdog_answer(Watchdog, tick(), true),
    ?assertEqual(<<"WATCHDOG=1\n">>, pings(Config)),
    systemd_nif:watchdog_answer(Watchdog, tick(), false),
    Tick = tick(),
    systemd_nif:watchdog_answer(Watchdog, Tick - 1, true),
    systemd_nif:watchdog_answer(Watchdog, Tick + 1, true),
    ?assertEqual(nothing, pings(Config)),
    systemd_nif:watchdog_answer(Watchdog, Tick, true),
    ?assertEqual(<<"WATCHDOG=1\n">>, pings(Config)).

one_question_at_a_time(Config) ->
    Watchdog = start(Config, 1),
    _ = tick(),
    receive {systemd_watchdog, tick, _} -> error(asked_again) after 200 -> ok end,
    ?assertEqual(nothing, pings(Config)),
    stop(Watchdog).

a_late_answer_counts(Config) ->
    Watchdog = start(Config, 1),
    Tick = tick(),
    timer:sleep(50),
    systemd_nif:watchdog_answer(Watchdog, Tick, true),
    ?assertEqual(<<"WATCHDOG=1\n">>, pings(Config)),
    ?assertEqual(Tick + 1, tick()),
    stop(Watchdog).

disabled_asks_nothing(Config) ->
    Watchdog = start(Config, 1),
    Tick = tick(),
    systemd_nif:watchdog_order(Watchdog, disable),
    systemd_nif:watchdog_answer(Watchdog, Tick, true),
    ?assertEqual(nothing, pings(Config)),
    receive {systemd_watchdog, tick, _} -> error(asked) after 0 -> ok end,
    systemd_nif:watchdog_order(Watchdog, enable),
    ?assertEqual(Tick + 1, tick()),
    stop(Watchdog).

threads() -> thread_counter:count("sd-watchdog").

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(5), wait(Fun)
    end.

ends_with_its_owner(Config) ->
    Before = threads(),
    Self = self(),
    %% The resource lives on in this process, and its thread ends all the same.
    Owner = spawn(fun() -> Self ! {watchdog, start(Config, 1)}, receive stop -> ok end end),
    Watchdog = receive {watchdog, Started} -> Started end,
    wait(fun() -> threads() =:= Before + 1 end),
    Owner ! stop,
    wait(fun() -> threads() =:= Before end),
    ?assertEqual(ok, systemd_nif:watchdog_answer(Watchdog, 1, true)),
    ?assertEqual(nothing, pings(Config)).

a_thousand_threads(Config) ->
    Before = threads(),
    [
        begin
            {Pid, Monitor} = spawn_monitor(fun() -> start(Config, 1), tick() end),
            receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end
        end
     || _ <- lists:seq(1, 1000)
    ],
    wait(fun() -> threads() =:= Before end).

%% Starts the application with a watchdog whose check asks this process for its answer.
start_asking(Config, Env) ->
    os:putenv("NOTIFY_SOCKET", recorder:path(proplists:get_value(recorder, Config))),
    os:putenv("WATCHDOG_USEC", "100000"),
    Self = self(),
    Check = fun() -> Self ! {check, self()}, receive Answer -> Answer end end,
    application:load(systemd),
    [application:set_env(systemd, Key, Value) || {Key, Value} <- [{watchdog_check, Check} | Env]],
    ok = application:start(systemd).

asked() -> receive {check, Pid} -> Pid after 2000 -> error(not_asked) end.

%% It may block or be killed, and the one that answers goes on.
the_check_has_a_process_of_its_own(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    start_asking(Config, []),
    Answering = whereis(systemd_watchdog),
    First = asked(),
    ?assertNotEqual(Answering, First),
    ?assertEqual({priority, high}, process_info(First, priority)),
    First ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    exit(asked(), kill),
    Hung = asked(),
    ok = systemd:watchdog(disable),
    ok = systemd:watchdog(enable),
    Next = asked(),
    wait(fun() -> not is_process_alive(Hung) end),
    recorder:all(Recorder),
    Next ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    ?assertEqual(Answering, whereis(systemd_watchdog)).

%% Told of once, however often it fails.
what_failed_is_the_status_until_all_is_well(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    start_asking(Config, [{watchdog_warn_after, 10000}]),
    ok = systemd:notify([ready, {status, "mine"}]),
    <<"READY=1\nSTATUS=mine\n">> = recorder:next(Recorder),
    [begin asked() ! false end || _ <- lists:seq(1, 3)],
    Failed = recorder:next(Recorder),
    ?assertMatch({match, _}, re:run(Failed, "^STATUS=watchdog: .* returned false\n$")),
    asked() ! perhaps,
    asked() ! true,
    ?assertEqual([<<"STATUS=mine\n">>, <<"WATCHDOG=1\n">>], [recorder:next(Recorder) || _ <- [1, 2]]).

an_invalid_setting_is_told_of(Config) ->
    log_counter:start(),
    start_asking(Config, [{watchdog_on_hang, explode}, {watchdog_warn_after, soon}]),
    asked() ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(proplists:get_value(recorder, Config))),
    Messages = log_counter:messages(),
    log_counter:stop(),
    ?assertMatch(
        [
            "systemd: config key watchdog_on_hang is explode, but must be withhold, trigger or abort; the default is used",
            "systemd: config key watchdog_warn_after is soon, but must be milliseconds; the default is used"
        ],
        lists:sort(Messages)
    ).

%% Not even one that was asked before, and hangs because what it asks is gone.
no_check_while_it_goes_down(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    start_asking(Config, []),
    Monitor = monitor(process, asked()),
    ok = systemd:notify([ready, stopping]),
    receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(killed, Reason) after 2000 -> error(hangs) end,
    wait(fun() -> recorder:next(Recorder) =:= <<"WATCHDOG=1\n">> end),
    recorder:all(Recorder),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    receive {check, _} -> error(asked) after 0 -> ok end.

%% What is not asked any more is not well again for that.
still_failing_when_it_goes_down(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    log_counter:start(),
    start_asking(Config, [{watchdog_warn_after, 10000}]),
    asked() ! true,
    ok = systemd:notify(ready),
    [begin asked() ! false end || _ <- [1, 2]],
    wait(fun() -> length(log_counter:messages()) =:= 1 end),
    ok = systemd:notify(stopping),
    wait(fun() -> recorder:next(Recorder) =:= <<"STOPPING=1\n">> end),
    wait(fun() -> recorder:next(Recorder) =:= <<"WATCHDOG=1\n">> end),
    #{last_result := Text, overdue := false} = systemd_watchdog:info(),
    Messages = log_counter:messages(),
    log_counter:stop(),
    ?assertMatch(["systemd: watchdog_check: " ++ _], Messages),
    ?assertMatch({match, _}, re:run(Text, "returned false")).

no_check_while_disabled(Config) ->
    start_asking(Config, []),
    Monitor = monitor(process, asked()),
    ok = systemd:watchdog(disable),
    receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(killed, Reason) after 2000 -> error(goes_on) end,
    %% One that was on its way.
    systemd_watchdog ! {systemd_watchdog, tick, 2},
    receive {check, _} -> error(asked) after 200 -> ok end.

%% Ready just then: what it says is of the time before.
quiet_when_asked_before_ready(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    start_asking(Config, [{watchdog_warn_after, 10000}]),
    First = asked(),
    ok = systemd:notify(ready),
    ?assertEqual(<<"READY=1\n">>, recorder:next(Recorder)),
    First ! false,
    asked() ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    asked() ! false,
    ?assertMatch(<<"STATUS=watchdog: ", _/binary>>, recorder:next(Recorder)).

info(Config) ->
    ?assertEqual(false, systemd_watchdog:info()),
    start_asking(Config, [{watchdog_warn_after, 300}]),
    First = asked(),
    ?assertMatch(
        #{timeout := 100, enabled := true, last_answer := never, last_result := not_checked, overdue := false},
        systemd_watchdog:info()
    ),
    wait(fun() -> maps:get(overdue, systemd_watchdog:info()) =/= false end),
    ?assert(maps:get(overdue, systemd_watchdog:info()) >= 300),
    First ! true,
    Second = asked(),
    ?assertMatch(#{last_answer := N, last_result := ok} when is_integer(N), systemd_watchdog:info()),
    Second ! false,
    _ = asked(),
    #{last_result := Text, last_duration := Duration} = systemd_watchdog:info(),
    ?assertMatch({match, _}, re:run(Text, "returned false")),
    ?assert(is_integer(Duration)),
    ok = systemd:watchdog(disable),
    ?assertMatch(#{enabled := false, overdue := false}, systemd_watchdog:info()).

%% The socket is opened when there is a descriptor for it, and the thread is started.
started_without_descriptors(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "1000000"),
    Before = threads(),
    {ok, {error, emfile}, {error, emfile}} = limits:without_descriptors(fun() ->
        {application:start(systemd), systemd:notify({status, "early"}), systemd:barrier()}
    end),
    wait(fun() -> threads() =:= Before + 1 end),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    ?assertEqual(ok, systemd:notify(ready)).

%% Whatever comes last holds, for the state and for the pings.
orders_by_many(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "1000000"),
    ok = application:start(systemd),
    [
        begin
            Orders = [
                spawn_monitor(fun() -> [systemd:watchdog(Order) || _ <- lists:seq(1, 20)] end)
             || _ <- lists:seq(1, 10), Order <- [enable, disable]
            ],
            [exit(Pid, kill) || {Pid, _} <- lists:sublist(Orders, rand:uniform(5))],
            [receive {'DOWN', Monitor, process, _, _} -> ok end || {_, Monitor} <- Orders],
            %% What those have ordered that were killed is done too, and a ping that was on its way has come.
            _ = sys:get_state(systemd_watchdog),
            timer:sleep(50),
            _ = recorder:all(Recorder),
            case systemd:watchdog(state) of
                false -> ?assertEqual(nothing, recorder:next(Recorder, 250));
                1000 -> ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder))
            end
        end
     || _ <- lists:seq(1, 20)
    ].

%% By somebody who kills at random.
its_process_is_killed(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "1000000"),
    ok = application:start(systemd),
    wait(fun() -> threads() =:= 1 end),
    Kill = fun() ->
        Before = whereis(systemd_watchdog),
        exit(Before, kill),
        wait(fun() -> is_pid(whereis(systemd_watchdog)) andalso whereis(systemd_watchdog) =/= Before end),
        wait(fun() -> threads() =:= 1 end),
        _ = recorder:all(Recorder)
    end,
    Kill(),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    ok = systemd:watchdog(disable),
    Kill(),
    ?assertEqual(false, systemd:watchdog(state)),
    ?assertEqual(nothing, recorder:next(Recorder, 300)),
    ok = systemd:watchdog(enable),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)).

