%% The native thread: it pings on its owner's word, and only then.
-module(watchdog_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        pings_on_true_only, one_question_at_a_time, a_late_answer_counts, disabled_asks_nothing,
        ends_with_its_owner, a_thousand_threads, the_check_has_a_process_of_its_own
    ].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    {ok, Notifier} = systemd_nif:open(list_to_binary(recorder:path(Recorder)), true),
    [{recorder, Recorder}, {notifier, Notifier} | Config].

end_per_testcase(_, Config) -> recorder:stop(proplists:get_value(recorder, Config)).

-define(HOUR, 3600000000).

start(Config, IntervalMillis) ->
    {ok, Watchdog} = systemd_nif:watchdog_start(
        proplists:get_value(notifier, Config), ?HOUR, IntervalMillis * 1000
    ),
    Watchdog.

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
    _Watchdog = start(Config, 1),
    _ = tick(),
    receive {systemd_watchdog, tick, _} -> error(asked_again) after 200 -> ok end,
    ?assertEqual(nothing, pings(Config)).

a_late_answer_counts(Config) ->
    Watchdog = start(Config, 1),
    Tick = tick(),
    timer:sleep(50),
    systemd_nif:watchdog_answer(Watchdog, Tick, true),
    ?assertEqual(<<"WATCHDOG=1\n">>, pings(Config)),
    ?assertEqual(Tick + 1, tick()).

disabled_asks_nothing(Config) ->
    Watchdog = start(Config, 1),
    Tick = tick(),
    systemd_nif:watchdog_disable(Watchdog),
    systemd_nif:watchdog_answer(Watchdog, Tick, true),
    ?assertEqual(nothing, pings(Config)),
    receive {systemd_watchdog, tick, _} -> error(asked) after 0 -> ok end,
    systemd_nif:watchdog_enable(Watchdog),
    ?assertEqual(Tick + 1, tick()).

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

%% It may block or be killed, and the one that answers goes on.
the_check_has_a_process_of_its_own(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "100000"),
    Self = self(),
    Check = fun() -> Self ! {check, self()}, receive Answer -> Answer end end,
    application:load(systemd),
    application:set_env(systemd, watchdog_check, Check),
    ok = application:start(systemd),
    Answering = whereis(systemd_watchdog),
    Asked = fun() -> receive {check, Pid} -> Pid after 2000 -> error(not_asked) end end,
    First = Asked(),
    ?assertNotEqual(Answering, First),
    ?assertEqual({priority, high}, process_info(First, priority)),
    First ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    exit(Asked(), kill),
    Hung = Asked(),
    ok = systemd:watchdog(disable),
    ok = systemd:watchdog(enable),
    Next = Asked(),
    wait(fun() -> not is_process_alive(Hung) end),
    recorder:all(Recorder),
    Next ! true,
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder)),
    ?assertEqual(Answering, whereis(systemd_watchdog)),
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]].
