%% The child specs, in a supervisor.
-module(children_SUITE).
-behaviour(supervisor).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        ready_is_sent_before_start_returns, ready_with_a_status, ready_keeps_a_status,
        up_and_down, a_crash_in_the_tree_takes_no_status_down, down_without_stopping, nothing_to_say,
        ready_without_a_status, application_not_started, two_equal_ones, maps_and_lists, garbage_fails_no_supervisor,
        a_failing_send_fails_no_supervisor, application_stop_says_nothing,
        a_crash_says_nothing,
        warns_about_readiness, warns_not_when_ready, forgets_restarts, invalid_configuration
    ].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    log_counter:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    application:load(systemd),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]],
    log_counter:stop(),
    recorder:stop(proplists:get_value(recorder, Config)).

init({Strategy, Children}) -> {ok, {#{strategy => Strategy}, Children}};
init(Children) -> {ok, {#{}, Children}}.

supervise(Children) ->
    process_flag(trap_exit, true),
    {ok, Supervisor} = supervisor:start_link(?MODULE, Children),
    Supervisor.

take_down(Supervisor) ->
    exit(Supervisor, shutdown),
    receive {'EXIT', Supervisor, shutdown} -> ok end.

%% What a supervisor with these children has sent when it is up, and what in a shutdown of the service.
sent(Children, Config) ->
    Recorder = proplists:get_value(recorder, Config),
    ok = application:start(systemd),
    Supervisor = supervise(Children),
    Up = recorder:all(Recorder),
    ok = systemd:notify(stopping),
    [<<"STOPPING=1\n">>] = recorder:all(Recorder),
    take_down(Supervisor),
    {Up, recorder:all(Recorder)}.

ready_is_sent_before_start_returns(Config) ->
    ?assertEqual({[<<"READY=1\nSTATUS=ready\n">>], []}, sent([systemd:ready()], Config)).

ready_with_a_status(Config) ->
    ?assertEqual({[<<"READY=1\nSTATUS=on 80\n">>], []}, sent([systemd:ready("on 80")], Config)).

ready_keeps_a_status(Config) ->
    Children = [systemd:set_status(#{up => {status, "warm"}}), systemd:ready()],
    ?assertEqual({[<<"STATUS=warm\n">>, <<"READY=1\n">>], []}, sent(Children, Config)).

up_and_down(Config) ->
    Children = [
        systemd:set_status([{up, {status, "a"}}, {down, [{status, "b"}, {errno, 5}]}]),
        systemd:set_status([{down, [{status, "c"}]}])
    ],
    ?assertEqual(
        {[<<"STATUS=a\n">>], [<<"STATUS=c\n">>, <<"STATUS=b\nERRNO=5\n">>]},
        sent(Children, Config)
    ).

%% A child that takes the others with it, as when one of a server crashes.
a_crash_in_the_tree_takes_no_status_down(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    ok = application:start(systemd),
    [
        begin
            Supervisor = supervise({Strategy, [
                #{id => crasher, start => {?MODULE, crasher, []}},
                systemd:set_status(#{down => {status, "drained"}}),
                systemd:set_status(#{up => {status, "serving"}, down => {status, "draining"}}),
                systemd:ready()
            ]}),
            ?assertEqual([<<"STATUS=serving\n">>, <<"READY=1\n">>], recorder:all(Recorder)),
            crasher ! crash,
            wait(fun() -> #{status := <<"serving">>, notifications := #{sent := Sent}} = systemd:info(), Sent rem 3 =:= 0 end),
            ?assertEqual([<<"STATUS=serving\n">>], recorder:all(Recorder)),
            %% Nor does its supervisor, when it is taken down by another one's crash.
            take_down(Supervisor),
            ?assertEqual([], recorder:all(Recorder))
        end
     || Strategy <- [rest_for_one, one_for_all]
    ].

crasher() -> {ok, spawn_link(fun() -> register(crasher, self()), receive crash -> exit(crash) end end)}.

%% STOPPING=1 could not be sent, and the service goes down all the same.
down_without_stopping(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    ok = application:start(systemd),
    Supervisor = supervise([systemd:set_status(#{down => {status, "draining"}})]),
    recorder:stop(Recorder),
    ok = systemd_lifecycle:begun(shutdown),
    Back = recorder:start(recorder:path(Recorder)),
    take_down(Supervisor),
    ?assertEqual([<<"STATUS=draining\n">>], recorder:all(Back)),
    recorder:stop(Back).

nothing_to_say(Config) ->
    Nothing = [
        #{}, [], #{up => undefined, down => nil}, [{up, [nil, undefined]}, {down, []}], [{up, {status, nil}}, {down, [{status, undefined}]}]
    ],
    Children = [(systemd:set_status(Statuses))#{id => Statuses} || Statuses <- Nothing],
    ?assertEqual({[], []}, sent(Children, Config)),
    ?assertEqual([], log_counter:messages()).

ready_without_a_status(Config) ->
    ok = application:start(systemd),
    [
        begin
            Supervisor = supervise([systemd:ready(None)]),
            ?assertEqual([<<"READY=1\n">>], recorder:all(proplists:get_value(recorder, Config))),
            take_down(Supervisor)
        end
     || None <- [undefined, nil]
    ],
    ?assertEqual([], log_counter:messages()).

%% The application is missing in `applications', or is an included one.
application_not_started(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    application:set_env(systemd, warn_about_readiness_message, 50),
    Calls = [
        fun() -> systemd:notify({status, "x"}) end,
        fun() -> systemd:barrier(10) end,
        fun() -> systemd:watchdog(ping) end,
        fun() -> systemd:clear_fds([x]) end,
        fun() -> systemd:reload() end
    ],
    [?assertEqual({error, not_started}, Call()) || Call <- Calls],
    ?assertMatch(#{under_systemd := true, error := not_started}, systemd:info()),
    ?assertEqual(done, systemd:extend_timeout_while(fun() -> done end)),
    [] = recorder:all(Recorder),
    Supervisor = supervise([systemd:set_status(#{up => {status, "up"}}), systemd:ready()]),
    ?assertEqual([<<"READY=1\nSTATUS=ready\n">>], recorder:all(Recorder)),
    [?assertEqual({error, not_started}, Call()) || Call <- Calls],
    wait(fun() -> [] =/= log_counter:messages() end),
    ?assertMatch([_], log_counter:messages()),
    ?assertMatch({match, _}, re:run(log_counter:messages(), "Add systemd to applications in the .app.src")),
    %% Somebody starts it late. What was announced before stays so.
    ok = application:start(systemd),
    wait(fun() -> readiness() =:= undefined end),
    ?assertMatch([_], log_counter:messages()),
    ?assertMatch(#{announced := [ready], error := false}, systemd:info()),
    ok = systemd:notify({status, "late"}),
    ?assertEqual([<<"STATUS=late\n">>], recorder:all(Recorder)),
    take_down(Supervisor),
    %% Nor does it matter how often.
    ok = application:stop(systemd),
    ok = application:start(systemd),
    ?assertMatch(#{announced := [ready], error := false}, systemd:info()),
    persistent_term:erase({systemd_log, {systemd_notify, not_started}}).

two_equal_ones(Config) ->
    Spec = systemd:set_status([{down, {status, "x"}}]),
    ?assertEqual({[], [<<"STATUS=x\n">>, <<"STATUS=x\n">>]}, sent([Spec, Spec#{id => other}], Config)).

maps_and_lists(Config) ->
    Children = [systemd:set_status(#{up => [{status, "a"}], down => {status, "b"}})],
    ?assertEqual({[<<"STATUS=a\n">>], [<<"STATUS=b\n">>]}, sent(Children, Config)).

garbage_fails_no_supervisor(Config) ->
    Garbage = [42, ready, [up | down], [{up, redy}], #{up => 1, down => {status, 42}}, "text"],
    Children = [systemd:set_status(Term) || Term <- Garbage] ++ [systemd:ready(Term) || Term <- Garbage],
    {Up, Down} = sent(Children, Config),
    %% A charlist is a status.
    ?assertEqual({[<<"READY=1\nSTATUS=text\n">>], []}, {Up, Down}),
    ?assertNotEqual([], log_counter:messages()).

a_failing_send_fails_no_supervisor(Config) ->
    ok = application:start(systemd),
    recorder:stop(proplists:get_value(recorder, Config)),
    Every = systemd:status_every(1000, fun() -> "b" end),
    Supervisor = supervise([systemd:set_status(#{up => {status, "a"}}), Every, systemd:ready()]),
    ?assertMatch([{_, One, _, _}, {_, Other, _, _}] when is_pid(One) andalso is_pid(Other),
                 supervisor:which_children(Supervisor)),
    take_down(Supervisor),
    ?assertMatch([_], log_counter:messages()).

%% The service may well go on without this application.
application_stop_says_nothing(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    [begin ok = application:start(systemd), ok = application:stop(systemd) end || _ <- [1, 2]],
    ?assertEqual([], recorder:all(Recorder)).

%% Nor after a crash.
a_crash_says_nothing(Config) ->
    ok = application:start(systemd),
    exit(whereis(systemd_sup), kill),
    wait(fun() -> not lists:keymember(systemd, 1, application:which_applications()) end),
    ?assertEqual([], recorder:all(proplists:get_value(recorder, Config))).

warns_about_readiness(_) ->
    application:set_env(systemd, warn_about_readiness_message, 50),
    ok = application:start(systemd),
    wait(fun() -> readiness() =:= undefined end),
    ?assertMatch(["systemd: no READY=1 was sent within 50 ms" ++ _], log_counter:messages()).

warns_not_when_ready(_) ->
    application:set_env(systemd, warn_about_readiness_message, 500),
    ok = application:start(systemd),
    ok = systemd:notify(ready),
    wait(fun() -> readiness() =:= undefined end),
    ?assertEqual([], log_counter:messages()).

%% The process that waits, and is gone afterwards.
readiness() ->
    {_, Pid, _, _} = lists:keyfind(systemd_readiness, 1, supervisor:which_children(systemd_sup)),
    Pid.

%% Ten minutes in the application, less here.
forgets_restarts(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    ok = application:start(systemd),
    {ok, #{start := {systemd_readiness, start_link, [forget_restarts = What, 600000]}}} =
        supervisor:get_childspec(systemd_sup, systemd_restart_reset),
    {ok, Pid} = systemd_readiness:start_link(What, 20),
    Monitor = monitor(process, Pid),
    %% Not before the service is ready, nor while it reloads.
    receive {'DOWN', Monitor, _, _, _} -> error(ended) after 100 -> ok end,
    ok = systemd:notify([ready, reloading]),
    receive {'DOWN', Monitor, _, _, _} -> error(ended) after 100 -> ok end,
    [_] = recorder:all(Recorder),
    ok = systemd:notify(ready),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) after 5000 -> error(waits) end,
    ?assertEqual([<<"READY=1\n">>, <<"RESTART_RESET=1\n">>], recorder:all(Recorder)).

invalid_configuration(_) ->
    os:putenv("WATCHDOG_USEC", "1000000"),
    Keys = [warn_about_readiness_message, handle_event, watchdog_scale, watchdog_check, unset_env],
    [application:set_env(systemd, Key, {no, good}) || Key <- Keys],
    ok = application:start(systemd),
    %% The check is asked half a second from now at the latest, and fails.
    wait(fun() -> length(log_counter:messages()) =:= 6 end),
    ?assertEqual(1000, systemd:watchdog(state)).

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(10), wait(Fun)
    end.
