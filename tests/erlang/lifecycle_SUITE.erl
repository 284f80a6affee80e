%% Every message of a service on each of its ways, in their order, as another VM sends them.
-module(lifecycle_SUITE).
-behaviour(application).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        stop_by_signal, stop_from_inside, stop_during_start, crash, killed, reload_by_function,
        reload_by_restart, reload_by_init_restart, reload_by_restart_with_mode
    ].

init_per_testcase(Case, Config) ->
    Recorder = recorder:start(),
    Start = io_lib:format("~s:begin_life(~s)", [?MODULE, Case]),
    Service = service:start(Recorder, lists:flatten(Start)),
    ?assertEqual(<<"STATUS=warming\n">>, service:next(Recorder)),
    Case =:= stop_during_start orelse ?assertEqual(<<"READY=1\nSTATUS=serving\n">>, next(Recorder)),
    [{recorder, Recorder}, {service, Service} | Config].

end_per_testcase(_, Config) ->
    service:stop(proplists:get_value(service, Config)),
    recorder:stop(proplists:get_value(recorder, Config)).

%% In the other VM.
begin_life(Case) ->
    Case =:= reload_by_function andalso application:set_env(systemd, reload, {?MODULE, reload, []}),
    ok = application:load(
        {application, life, [{applications, [kernel, stdlib, systemd]}, {mod, {?MODULE, Case}}]}
    ),
    spawn(fun() -> application:start(life, permanent) end),
    [].

start(_, Case) -> supervisor:start_link({local, life}, ?MODULE, Case).

stop(_) -> ok.

init(Case) ->
    {ok,
        {#{intensity => 0}, [
            systemd:set_status(#{up => {status, "warming"}, down => {status, "drained"}}),
            #{id => slow, start => {?MODULE, slow, [Case]}},
            systemd:ready("serving")
        ]}}.

slow(stop_during_start) -> timer:sleep(infinity);
slow(_) -> {ok, spawn_link(fun() -> register(crasher, self()), receive crash -> exit(crash) end end)}.

reload() ->
    systemd:notify({status, "rereading"}),
    ok.

%% Here.
next(Recorder) -> service:next(Recorder).

-define(RECORDER, proplists:get_value(recorder, Config)).
-define(SERVICE, proplists:get_value(service, Config)).

%% Its last messages, when it has ended.
ended(Config) ->
    Status = service:await_end(?SERVICE),
    {Status, recorder:all(?RECORDER)}.

stop_by_signal(Config) ->
    service:signal(?SERVICE, "TERM"),
    ?assertEqual({0, [<<"STOPPING=1\n">>, <<"STATUS=drained\n">>]}, ended(Config)).

stop_from_inside(Config) ->
    service:eval(?SERVICE, "init:stop()"),
    ?assertEqual({0, [<<"STOPPING=1\n">>, <<"STATUS=drained\n">>]}, ended(Config)).

stop_during_start(Config) ->
    service:signal(?SERVICE, "TERM"),
    {0, [<<"STOPPING=1\n">> | Rest]} = ended(Config),
    %% An application that is starting is killed by OTP, and so is what it has started.
    ?assertEqual([], Rest).

%% The end of a permanent application is the end of the VM.
crash(Config) ->
    service:eval(?SERVICE, "crasher ! crash"),
    ?assertEqual({1, [<<"STOPPING=1\n">>]}, ended(Config)).

killed(Config) ->
    service:signal(?SERVICE, "KILL"),
    ?assertEqual({137, []}, ended(Config)).

reload_by_function(Config) ->
    service:signal(?SERVICE, "HUP"),
    reloading(Config),
    ?assertEqual(<<"STATUS=rereading\n">>, next(?RECORDER)),
    ?assertEqual(<<"READY=1\nSTATUS=reloaded\n">>, next(?RECORDER)),
    stop_by_signal(Config).

reload_by_restart(Config) ->
    service:signal(?SERVICE, "HUP"),
    restarted(Config).

%% It can't be told from a reload: the same service is there afterwards.
reload_by_init_restart(Config) ->
    service:eval(?SERVICE, "init:restart()"),
    restarted(Config).

reload_by_restart_with_mode(Config) ->
    service:eval(?SERVICE, "systemd:reload([{mode, interactive}])"),
    restarted(Config).

restarted(Config) ->
    reloading(Config),
    ?assertEqual(<<"STATUS=drained\n">>, next(?RECORDER)),
    ?assertEqual(<<"STATUS=warming\n">>, next(?RECORDER)),
    ?assertEqual(<<"READY=1\nSTATUS=serving\n">>, next(?RECORDER)),
    stop_by_signal(Config).

reloading(Config) ->
    <<"RELOADING=1\nMONOTONIC_USEC=", Usec/binary>> = next(?RECORDER),
    ?assert(binary_to_integer(string:trim(Usec)) > 0).
