%% STOPPING=1, as another VM sends it on its way down.
-module(shutdown_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        once_when_shutdown_begins, calls_the_function_set_before_us, reload_sends_none, after_a_hot_upgrade,
        when_the_application_is_down, restarts_when_the_application_is_down, when_another_function_is_set_after_us
    ].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    Service = service:start(Recorder, "ready"),
    ?assertEqual(<<"READY=1\n">>, service:next(Recorder)),
    [{recorder, Recorder}, {service, Service} | Config].

end_per_testcase(_, Config) ->
    service:stop(proplists:get_value(service, Config)),
    recorder:stop(proplists:get_value(recorder, Config)).

-define(RECORDER, proplists:get_value(recorder, Config)).
-define(SERVICE, proplists:get_value(service, Config)).

%% An application that takes a second to go down is still there when STOPPING=1 arrives.
-define(SLOW_APPLICATION,
    "application:load({application, slow, [{applications, [systemd]}, {mod, {shutdown_SUITE, []}}]}),"
    "ok = application:start(slow), systemd:notify({status, \"slow\"})").

start(_, _) ->
    {ok, spawn_link(fun() -> receive never -> ok end end)}.

stop(_) ->
    timer:sleep(1000),
    systemd:notify({status, "slow is down"}).

once_when_shutdown_begins(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Service = proplists:get_value(service, Config),
    service:eval(Service, ?SLOW_APPLICATION),
    ?assertEqual(<<"STATUS=slow\n">>, service:next(Recorder)),
    Begin = erlang:monotonic_time(millisecond),
    service:signal(Service, "TERM"),
    ?assertEqual(<<"STOPPING=1\n">>, service:next(Recorder)),
    Millis = erlang:monotonic_time(millisecond) - Begin,
    io:format(user, "~nSTOPPING=1 ~b ms after SIGTERM~n", [Millis]),
    ?assert(Millis < 300),
    0 = service:await_end(Service),
    ?assertEqual([<<"STATUS=slow is down\n">>], recorder:all(Recorder)).

calls_the_function_set_before_us(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Service = proplists:get_value(service, Config),
    service:eval(
        Service,
        "application:stop(systemd),"
        "application:set_env(kernel, shutdown_func, {shutdown_SUITE, previous}),"
        "application:start(systemd), application:stop(systemd), application:start(systemd),"
        "init:stop()"
    ),
    0 = service:await_end(Service),
    ?assertEqual([<<"STOPPING=1\n">>, <<"STATUS=previous was called: shutdown\n">>], recorder:all(Recorder)).

previous(Reason) -> systemd:notify({status, io_lib:format("previous was called: ~p", [Reason])}).

reload_sends_none(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Service = proplists:get_value(service, Config),
    service:signal(Service, "HUP"),
    ?assertMatch(<<"RELOADING=1\nMONOTONIC_USEC=", _/binary>>, service:next(Recorder)),
    ?assertEqual(<<"READY=1\n">>, service:next(Recorder)),
    %% After a restart the next shutdown is one again.
    service:signal(Service, "TERM"),
    0 = service:await_end(Service),
    ?assertEqual([<<"STOPPING=1\n">>], recorder:all(Recorder)).

%% Whatever an upgrade does to the environments of applications.
after_a_hot_upgrade(Config) ->
    service:eval(?SERVICE, ?SLOW_APPLICATION ", shutdown_SUITE:upgrade(), systemd:notify({status, \"upgraded\"})"),
    ?assertEqual(<<"STATUS=slow\n">>, service:next(?RECORDER)),
    ?assertEqual(<<"STATUS=upgraded\n">>, service:next(?RECORDER)),
    service:signal(?SERVICE, "TERM"),
    0 = service:await_end(?SERVICE),
    ?assertEqual([<<"STOPPING=1\n">>, <<"STATUS=slow is down\n">>], recorder:all(?RECORDER)).

%% As release_handler does it, with files in which nothing has changed.
upgrade() ->
    Before = application_controller:prep_config_change(),
    ok = application_controller:change_application_data([application_file(App) || App <- [kernel, stdlib, systemd]], []),
    ok = application_controller:config_change(Before),
    installed().

application_file(App) ->
    {ok, [Application]} = file:consult(filename:join([code:lib_dir(App), "ebin", atom_to_list(App) ++ ".app"])),
    Application.

installed() ->
    case application:get_env(kernel, shutdown_func) of
        undefined -> timer:sleep(10), installed();
        {ok, _} -> ok
    end.

%% Then nobody says anything, and nothing is wrong with that.
when_the_application_is_down(Config) ->
    service:eval(?SERVICE, "ok = application:stop(systemd), init:stop()"),
    0 = service:await_end(?SERVICE),
    ?assertEqual([], recorder:all(?RECORDER)),
    ?assertEqual(nomatch, string:find(service:log(?SERVICE), "nothing is sent")).

restarts_when_the_application_is_down(Config) ->
    service:eval(?SERVICE, "ok = application:stop(systemd), init:restart()"),
    ?assertEqual(<<"READY=1\n">>, service:next(?RECORDER)),
    ?assertEqual(nomatch, string:find(service:log(?SERVICE), "nothing is sent")).

%% It comes a little late then: when this application goes down.
when_another_function_is_set_after_us(Config) ->
    service:eval(?SERVICE, "application:set_env(kernel, shutdown_func, {erlang, display}), init:stop()"),
    0 = service:await_end(?SERVICE),
    ?assertEqual([<<"STOPPING=1\n">>], recorder:all(?RECORDER)).
