%% More time to start and to stop, and the status that is computed every so often, against a recorder.
-module(extension_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        while_it_runs, ends_with_an_exception, ends_with_its_caller, limit, options, while_stopping,
        until_all_is_down, not_when_only_restarted, without_systemd,
        status_when_it_changes, status_of_a_function_that_hangs, status_that_is_none, status_without_systemd
    ].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    log_counter:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    application:set_env(systemd, warn_about_readiness_message, false),
    ok = application:start(systemd),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    _ = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    application:unset_env(systemd, warn_about_readiness_message),
    log_counter:stop(),
    recorder:stop(proplists:get_value(recorder, Config)).

init(Children) -> {ok, {#{}, Children}}.

start_link(Fun) -> {ok, proc_lib:spawn_link(Fun)}.

supervise(Children) ->
    process_flag(trap_exit, true),
    {ok, Supervisor} = supervisor:start_link(children_SUITE, Children),
    Supervisor.

take_down(Supervisor) ->
    exit(Supervisor, shutdown),
    receive {'EXIT', Supervisor, shutdown} -> ok end.

next(Config) -> recorder:next(proplists:get_value(recorder, Config)).

all(Config) -> recorder:all(proplists:get_value(recorder, Config)).

-define(EXTENDED, <<"EXTEND_TIMEOUT_USEC=10000000\n">>).

%% Nobody asks any more.
silent(Config) ->
    [] = extenders(),
    _ = all(Config),
    ?assertEqual(nothing, recorder:next(proplists:get_value(recorder, Config), 1200)).

extenders() -> [Pid || Pid <- processes(), {initial_call, {systemd_extension, extend, 2}} <- [process_info(Pid, initial_call)]].

while_it_runs(Config) ->
    Result = systemd:extend_timeout_while(fun() ->
        ?assertEqual(?EXTENDED, next(Config)),
        systemd:notify({status, "half"}),
        ?assertEqual(<<"STATUS=half\n">>, next(Config)),
        ?assertEqual(?EXTENDED, next(Config)),
        ?assertMatch([_], extenders()),
        result
    end),
    ?assertEqual(result, Result),
    silent(Config).

ends_with_an_exception(Config) ->
    ?assertError(oops, systemd:extend_timeout_while(fun() -> ?EXTENDED = next(Config), error(oops) end)),
    silent(Config).

ends_with_its_caller(Config) ->
    Caller = spawn(fun() -> systemd:extend_timeout_while(fun() -> receive never -> ok end end) end),
    ?assertEqual(?EXTENDED, next(Config)),
    exit(Caller, kill),
    silent(Config).

limit(Config) ->
    Result = systemd:extend_timeout_while(
        fun() -> timer:sleep(1500), result end, [{status, "migrating"}, {limit, 1200}]
    ),
    ?assertEqual(result, Result),
    Said = all(Config),
    Extended = [
        binary_to_integer(string:trim(Usec))
     || <<"EXTEND_TIMEOUT_USEC=", Usec/binary>> <- Said
    ],
    ?assertMatch([First, Second] when First =< 2200000 andalso Second =< 1200000, Extended),
    ?assert(lists:member(<<"STATUS=migrating\n">>, Said)),
    ?assertEqual(
        <<"STATUS=still running after 1.2 s, the limit of extend_timeout_while: TimeoutStartSec= applies now\n">>,
        lists:last(Said)
    ).

options(_) ->
    Fun = fun() -> ok end,
    [
        begin
            ?assertError(badarg, systemd:extend_timeout_while(Fun, Options)),
            ?assertError(badarg, systemd:extend_timeout_while_stopping(Options))
        end
     || Options <- [[{limit, 0}], [{limit, infinity}], [{limit, 1 bsl 32}], [limit], #{}, [{x, 1}], [{limit, 1} | 2]]
    ],
    ?assertError(badarg, systemd:extend_timeout_while(fun(_) -> ok end)).

while_stopping(Config) ->
    Test = self(),
    Drainer = #{
        id => drainer,
        start => {?MODULE, start_link, [fun() ->
            process_flag(trap_exit, true),
            receive {'EXIT', _, shutdown} -> ok end,
            Test ! draining,
            receive drained -> ok end
        end]}
    },
    Supervisor = supervise([
        Drainer, systemd:extend_timeout_while_stopping([{status, "draining"}]), systemd:ready()
    ]),
    ?assertEqual(<<"READY=1\nSTATUS=ready\n">>, next(Config)),
    [{drainer, Pid, _, _}] = [Child || {drainer, _, _, _} = Child <- supervisor:which_children(Supervisor)],
    ok = systemd:notify(stopping),
    ?assertEqual(<<"STOPPING=1\n">>, next(Config)),
    exit(Supervisor, shutdown),
    receive draining -> ok end,
    ?assertEqual([<<"STATUS=draining\n">>, ?EXTENDED], lists:reverse(lists:sort([next(Config), next(Config)]))),
    ?assertEqual(?EXTENDED, next(Config)),
    Pid ! drained,
    receive {'EXIT', Supervisor, shutdown} -> ok end,
    %% Other applications may take their time too.
    ?assertEqual(?EXTENDED, next(Config)),
    ok = application:stop(systemd),
    silent(Config).

%% The application whose supervisor has the child may be the first of many to stop.
until_all_is_down(Config) ->
    ok = application:load({application, first, [{mod, {?MODULE, []}}]}),
    ok = application:start(first),
    ok = systemd:notify([ready, stopping]),
    ?assertEqual(<<"READY=1\nSTOPPING=1\n">>, next(Config)),
    ok = application:stop(first),
    ok = application:unload(first),
    [?assertEqual(?EXTENDED, next(Config)) || _ <- [1, 2, 3]],
    ok = application:stop(systemd),
    silent(Config).

start(_, _) -> supervisor:start_link(children_SUITE, [systemd:extend_timeout_while_stopping()]).

stop(_) -> ok.

not_when_only_restarted(Config) ->
    Supervisor = supervise([systemd:extend_timeout_while_stopping(), systemd:ready()]),
    take_down(Supervisor),
    ?assertEqual(<<"READY=1\nSTATUS=ready\n">>, next(Config)),
    silent(Config).

without_systemd(Config) ->
    ok = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    _ = all(Config),
    ok = application:start(systemd),
    ?assertEqual(result, systemd:extend_timeout_while(fun() -> result end)),
    take_down(supervise([systemd:extend_timeout_while_stopping()])),
    silent(Config).

status_when_it_changes(Config) ->
    Counter = counters:new(2, []),
    Status = fun() ->
        counters:add(Counter, 2, 1),
        [integer_to_list(counters:get(Counter, 1)), <<" connections">>]
    end,
    Supervisor = supervise([systemd:status_every(5, Status), systemd:status_every(5, {lists, append, [["b", "c"]]})]),
    ?assertEqual([<<"STATUS=0 connections\n">>, <<"STATUS=bc\n">>], lists:sort([next(Config), next(Config)])),
    await_calls(Counter, 20),
    ?assertEqual([], all(Config)),
    counters:put(Counter, 1, 1204),
    ?assertEqual(<<"STATUS=1204 connections\n">>, next(Config)),
    take_down(Supervisor).

await_calls(Counter, Calls) ->
    case counters:get(Counter, 2) of
        Count when Count >= Calls -> ok;
        _ -> timer:sleep(1), await_calls(Counter, Calls)
    end.

status_of_a_function_that_hangs(Config) ->
    Test = self(),
    Status = fun() ->
        process_flag(trap_exit, true),
        Test ! {called, self()},
        receive {answer, Answer} -> Answer end
    end,
    Supervisor = supervise([systemd:status_every(5, Status)]),
    Runner = receive {called, Pid} -> Pid end,
    receive {called, _} -> error(called_again) after 100 -> ok end,
    ?assertMatch(["systemd: the function of status_every has not returned after 5 ms; it is at [{" ++ _], log_counter:messages()),
    Runner ! {answer, "late"},
    ?assertEqual(<<"STATUS=late\n">>, next(Config)),
    Next = receive {called, Pid2} -> Pid2 end,
    ?assert(is_process_alive(Next)),
    take_down(Supervisor),
    await_end(Next, 200).

%% No monitor: the emulator may send it later than what the same process does next, and it then finds nobody.
await_end(Pid, Tries) when Tries > 0 ->
    case is_process_alive(Pid) of
        true -> timer:sleep(5), await_end(Pid, Tries - 1);
        false -> ok
    end.

status_that_is_none(Config) ->
    Counter = counters:new(1, []),
    Status = fun() ->
        counters:add(Counter, 1, 1),
        case counters:get(Counter, 1) of
            1 -> "first";
            N when N rem 4 =:= 0 -> error(oops);
            N when N rem 4 =:= 1 -> {no, text};
            N when N rem 4 =:= 2 -> [255, <<255>>];
            N when N rem 4 =:= 3 -> exit(self(), kill)
        end
    end,
    Supervisor = supervise([systemd:status_every(5, Status)]),
    ?assertEqual(<<"STATUS=first\n">>, next(Config)),
    timer:sleep(200),
    ?assertEqual([], all(Config)),
    ?assertMatch(
        [
            "systemd: the function of status_every raised error oops at " ++ _,
            "systemd: the function of status_every returned " ++ _,
            "systemd: the function of status_every was ended by an exit signal: killed"
        ],
        lists:sort(log_counter:messages())
    ),
    take_down(Supervisor),
    ?assertError(badarg, systemd:status_every(0, Status)),
    ?assertError(badarg, systemd:status_every(5, fun(_) -> ok end)).

status_without_systemd(Config) ->
    ok = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    _ = all(Config),
    ok = application:start(systemd),
    Supervisor = supervise([systemd:status_every(1, fun() -> error(called) end)]),
    ?assertMatch([{_, undefined, _, _}], supervisor:which_children(Supervisor)),
    take_down(Supervisor).
