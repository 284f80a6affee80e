%% The variables: bad ones, none at all, and what becomes of them.
-module(environment_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        no_systemd, invalid_notify_socket, unreachable_notify_socket,
        invalid_watchdog, watchdog_of_another_process, unset_for_children, left_for_children,
        kept_over_application_restart, kept_over_vm_restart, library_missing
    ].

init_per_testcase(_, Config) ->
    log_counter:start(),
    application:load(systemd),
    Config.

end_per_testcase(_, _) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]],
    log_counter:stop().

no_systemd(_) ->
    ok = application:start(systemd),
    ?assertEqual([], supervisor:which_children(systemd_sup)),
    ?assertEqual(ok, systemd:notify(ready)),
    ?assertEqual(ok, systemd:notify([ready, {status, "x"}])),
    ?assertEqual(ok, systemd:barrier()),
    ?assertEqual(ok, systemd:barrier(infinity)),
    ?assertEqual(false, systemd:watchdog(state)),
    [?assertEqual(ok, systemd:watchdog(Command)) || Command <- [ping, trigger, enable, disable]],
    ?assertEqual(ok, systemd:reload()),
    ?assertEqual(ok, systemd:reload([{mode, embedded}])),
    ?assertMatch({ok, Booted} when is_boolean(Booted), systemd:booted()),
    [?assertEqual(ok, systemd:unset_env(Part)) || Part <- [notify, watchdog, listen_fds]],
    ?assertEqual([], systemd:listen_fds()),
    ?assertEqual({error, {no_such_fd, http}}, systemd:listen_opts(http)),
    ?assertEqual({ok, 4000, []}, systemd:listen_opts(http, 4000)),
    ?assertEqual({error, {no_such_fd, http}}, systemd:listen_socket(http)),
    ?assertEqual({error, {no_such_fd, http}}, systemd:listen_info(http)),
    ?assertEqual(ok, systemd:store_fds([{0, input}])),
    ?assertEqual(ok, systemd:store_fds([0], [{poll, false}])),
    ?assertEqual(ok, systemd:clear_fds([input])),
    ?assertEqual(ok, systemd:store_term(state, 1)),
    ?assertEqual({error, {no_such_fd, state}}, systemd:fetch_term(state)),
    ?assertEqual({error, enoent}, systemd:credentials(password)),
    ?assertEqual({error, enoent}, systemd:read_credential(password)),
    #{start := {Ready, Start, ReadyArgs}} = systemd:ready(),
    ?assertEqual(ignore, apply(Ready, Start, ReadyArgs)),
    #{start := {Status, start_link, StatusArgs}} = systemd:set_status([{down, {status, "x"}}]),
    {ok, Pid} = apply(Status, start_link, StatusArgs),
    gen_server:stop(Pid),
    ok = application:stop(systemd),
    %% Nor does it matter whether the application runs.
    ?assertEqual(ok, systemd:notify(ready)),
    ?assertEqual([], log_counter:messages()).

invalid_notify_socket(_) ->
    [
        begin
            os:putenv("NOTIFY_SOCKET", Value),
            ok = application:start(systemd),
            Reason = {invalid_notify_socket, list_to_binary(Value)},
            ?assertEqual({error, Reason}, systemd:notify(ready)),
            ?assertEqual({error, Reason}, systemd:barrier()),
            ?assertEqual({error, Reason}, systemd:reload()),
            ?assertEqual(false, systemd:watchdog(state)),
            ok = application:stop(systemd),
            ?assertMatch([_ | _], [
                Text
             || Text <- log_counter:messages(), string:find(Text, "NOTIFY_SOCKET=") =/= nomatch
            ])
        end
     || Value <- ["run/notify", "./notify", "/" ++ lists:duplicate(107, $a), "@", "vsock:2", "x"]
    ].

unreachable_notify_socket(_) ->
    File = "/tmp/systemd-file-" ++ os:getpid(),
    ok = file:write_file(File, ""),
    [
        begin
            os:putenv("NOTIFY_SOCKET", Path),
            ok = application:start(systemd),
            ?assertEqual({error, Reason}, systemd:notify(ready)),
            ok = application:stop(systemd)
        end
     || {Path, Reason} <- [
            {"/nonexistent/notify", enoent},
            {"@systemd-nobody-" ++ os:getpid(), econnrefused},
            {File, econnrefused},
            {File ++ "/notify", enotdir}
        ]
    ],
    ok = file:delete(File),
    %% An empty one is none.
    os:putenv("NOTIFY_SOCKET", ""),
    ok = application:start(systemd),
    ?assertEqual(ok, systemd:notify(ready)).

with_watchdog(Variables, Fun) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    [os:putenv(Name, Value) || {Name, Value} <- Variables],
    ok = application:start(systemd),
    Fun(Recorder),
    ok = application:stop(systemd),
    [os:unsetenv(Name) || {Name, _} <- Variables],
    recorder:stop(Recorder).

invalid_watchdog(_) ->
    [
        with_watchdog([{"WATCHDOG_USEC", Value}], fun(Recorder) ->
            ?assertEqual({Value, false}, {Value, systemd:watchdog(state)}),
            ?assertEqual(ok, systemd:notify(ready)),
            ?assertEqual([<<"READY=1\n">>], recorder:all(Recorder)),
            [Text | _] = lists:reverse(log_counter:messages()),
            ?assertNotEqual(nomatch, string:find(Text, "WATCHDOG_USEC"))
        end)
     || Value <- ["0", "-1", "abc", "18446744073709551616", "18446744073709551615", "1s", " 1"]
    ],
    %% Microseconds: shorter than the interval can be, and longer than anybody lives.
    [
        with_watchdog([{"WATCHDOG_USEC", Value}], fun(Recorder) ->
            ?assertEqual({Value, Millis}, {Value, systemd:watchdog(state)}),
            %% Every answer comes late for the first.
            wait(fun() -> recorder:next(Recorder) =:= <<"WATCHDOG=1\n">> end)
        end)
     || {Value, Millis} <- [{"1", 1}, {"18446744073709551614", 18446744073709551}]
    ].

watchdog_of_another_process(_) ->
    with_watchdog([{"WATCHDOG_USEC", "100000"}, {"WATCHDOG_PID", "1"}], fun(Recorder) ->
        ?assertEqual(false, systemd:watchdog(state)),
        ?assertEqual(nothing, recorder:next(Recorder, 300))
    end),
    ?assertEqual([], log_counter:messages()),
    with_watchdog([{"WATCHDOG_USEC", "100000"}, {"WATCHDOG_PID", os:getpid()}], fun(Recorder) ->
        ?assertEqual(100, systemd:watchdog(state)),
        ?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(Recorder))
    end),
    with_watchdog([{"WATCHDOG_USEC", "100000"}, {"WATCHDOG_PID", "x"}], fun(_) ->
        ?assertEqual(false, systemd:watchdog(state)),
        ?assertMatch([_], log_counter:messages())
    end).

unset_for_children(_) ->
    with_watchdog([{"WATCHDOG_USEC", "5000000"}], fun(_) ->
        ?assertEqual("", os:cmd("env | grep -E '^(NOTIFY_SOCKET|WATCHDOG_)'"))
    end).

left_for_children(_) ->
    application:set_env(systemd, unset_env, false),
    with_watchdog([{"WATCHDOG_USEC", "5000000"}], fun(_) ->
        ?assertEqual("WATCHDOG_USEC=5000000\n", os:cmd("env | grep '^WATCHDOG_USEC'")),
        ok = systemd:unset_env(watchdog),
        ?assertEqual("", os:cmd("env | grep '^WATCHDOG_'"))
    end).

kept_over_application_restart(_) ->
    with_watchdog([{"WATCHDOG_USEC", "5000000"}], fun(Recorder) ->
        ok = application:stop(systemd),
        ok = application:start(systemd),
        ?assertEqual(5000, systemd:watchdog(state)),
        ok = systemd:notify(ready),
        %% Among the pings.
        wait(fun() -> recorder:next(Recorder) =:= <<"READY=1\n">> end)
    end).

%% A restart of the VM in which no application is stopped in order.
kept_over_vm_restart(_) ->
    Recorder = recorder:start(),
    Unset = "{status, os:getenv(\"NOTIFY_SOCKET\", \"unset\")}",
    Service = service:start(Recorder, Unset),
    ?assertEqual(<<"STATUS=unset\n">>, service:next(Recorder)),
    service:eval(Service, "exit(application_controller:get_master(systemd), kill), systemd:reload()"),
    ?assertMatch(<<"RELOADING=1\n", _/binary>>, service:next(Recorder)),
    ?assertEqual(<<"STATUS=unset\n">>, service:next(Recorder)),
    service:stop(Service),
    recorder:stop(Recorder).

library_missing(Config) ->
    Recorder = recorder:start(),
    Copy = filename:join(proplists:get_value(priv_dir, Config), "systemd"),
    "" = os:cmd("mkdir -p " ++ Copy ++ " && cp -rL " ++ service:ebin() ++ " " ++ Copy),
    Service = service:start(Recorder, "ready", filename:join(Copy, "ebin")),
    wait(fun() -> string:find(service:log(Service), "native library is not loaded") =/= nomatch end),
    ?assertEqual([], recorder:all(Recorder)),
    service:stop(Service),
    recorder:stop(Recorder).

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(20), wait(Fun)
    end.
