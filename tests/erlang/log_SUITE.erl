%% What the library says of itself: once, and bounded.
-module(log_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [one_kind_of_error_is_one_line, by_many_processes, one_function_that_is_late, again_after_a_while, many_kinds, behind_a_handler_that_is_stuck, config_that_does_not_fit].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    _ = application:load(systemd),
    application:set_env(systemd, warn_about_readiness_message, false),
    log_counter:start(),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    _ = application:stop(systemd),
    _ = application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]],
    log_counter:stop(),
    recorder:stop(proplists:get_value(recorder, Config)).

%% What comes after it is said as well.
one_kind_of_error_is_one_line(_) ->
    ok = application:start(systemd),
    [{error, {invalid_state, _}} = systemd:notify({bad, N, state}) || N <- lists:seq(1, 150)],
    [{error, {invalid_value, _}} = systemd:notify({list_to_atom("x_" ++ integer_to_list(N)), {}}) || N <- lists:seq(1, 150)],
    {error, emsgsize} = systemd:notify({status, binary:copy(<<"x">>, 5000)}),
    ?assertMatch(
        [
            "systemd: notification invalid_state failed: it is not a systemd:state()",
            "systemd: notification x_1 failed: the value of x_1 breaks a rule of sd_notify(3)",
            "systemd: notification status failed: it is longer than 4096 bytes" ++ _
        ],
        log_counter:messages()
    ).

by_many_processes(_) ->
    ok = application:start(systemd),
    Many = fun(What) ->
        Go = make_ref(),
        Pids = [
            spawn_monitor(fun() -> receive Go -> systemd_log:once(What, error, "systemd: here", []) end end)
         || _ <- lists:seq(1, 500)
        ],
        [Pid ! Go || {Pid, _} <- Pids],
        [receive {'DOWN', Monitor, _, _, _} -> ok end || {_, Monitor} <- Pids]
    end,
    [Many(What) || What <- lists:seq(1, 20)],
    ?assertEqual(20, length(log_counter:messages())).

%% With other arguments each time, as the watchdog's check has them.
one_function_that_is_late(_) ->
    ok = application:start(systemd),
    Complain = fun(Function) -> systemd_function:complain(check, Function, {late, 5, []}) end,
    [Complain(Function) || N <- lists:seq(1, 50), Function <- [{m, f, [N]}, fun() -> N end]],
    ?assertEqual(2, length(log_counter:messages())).

again_after_a_while(_) ->
    ok = application:start(systemd),
    Say = fun() -> systemd_log:once(kind, error, "systemd: ~ts", ["here"]) end,
    [Say() || _ <- lists:seq(1, 5)],
    %% As if it was long ago.
    true = ets:update_element(systemd_log, {kind, kind}, {3, erlang:monotonic_time(millisecond) - 61000}),
    [Say() || _ <- lists:seq(1, 5)],
    ?assertEqual(["systemd: here", "systemd: here (4 more before)"], log_counter:messages()).

%% Those that there is no room for are counted.
many_kinds(_) ->
    ok = application:start(systemd),
    [
        begin
            systemd_log:once({kind, N}, error, "systemd: ~b", [N]),
            N rem 50 =:= 0 andalso sys:get_state(systemd_log)
        end
     || N <- lists:seq(1, 150)
    ],
    systemd_log:say(error, "systemd: after that", []),
    Messages = log_counter:messages(),
    ?assertEqual(102, length(Messages)),
    ?assertEqual(["systemd: after that", "systemd: 50 more lines of this library were not logged"], lists:nthtail(100, Messages)).

%% The memory that its queue takes is bounded, whatever fails.
behind_a_handler_that_is_stuck(_) ->
    ok = application:start(systemd),
    ok = sys:suspend(systemd_log),
    Log = whereis(systemd_log),
    [systemd_log:say(error, "systemd: ~b", [N]) || N <- lists:seq(1, 100000)],
    [{error, {invalid_state, _}} = systemd:notify({bad, N, state}) || N <- lists:seq(1, 100000)],
    {_, Waiting} = process_info(Log, message_queue_len),
    ?assertEqual(100, Waiting),
    ok = sys:resume(Log),
    Messages = log_counter:messages(),
    ?assertEqual(101, length(Messages)),
    ?assert(lists:member("systemd: 99901 more lines of this library were not logged", Messages)).

%% Of any size. The default is used, and the VM runs.
config_that_does_not_fit(Config) ->
    Huge = 100000000000000000000,
    Keys = [watchdog_scale, watchdog_warn_after, restart_timeout, warn_about_readiness_message, reload_timeout],
    [application:set_env(systemd, Key, Huge) || Key <- Keys],
    application:set_env(systemd, handle_event, sigup),
    os:putenv("WATCHDOG_USEC", "1000000"),
    ok = application:start(systemd),
    ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(proplists:get_value(recorder, Config))),
    ?assertEqual(
        [
            "systemd: config key handle_event is sigup, but must be sighup, sigusr1, sigusr2, sigquit, "
            "sigalrm, sigtstp or false; the default is used"
            | ["systemd: config key " ++ atom_to_list(Key) ++ " is 100000000000000000000, but must be " || Key <- lists:sort(Keys)]
        ],
        [without_what(Text) || Text <- lists:sort(log_counter:messages())]
    ),
    ?assert(lists:keymember(systemd_signal, 1, [{Handler} || Handler <- gen_event:which_handlers(erl_signal_server)])).

without_what(Text) ->
    case re:run(Text, "^(.* is 10+, but must be ).*; the default is used$", [{capture, all_but_first, list}]) of
        {match, [Head]} -> Head;
        nomatch -> Text
    end.
