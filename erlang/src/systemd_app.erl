%% @private
-module(systemd_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1, config_change/3]).

start(_Type, _Args) ->
    systemd_logger:install(),
    Variables = systemd_env:take(),
    Opened = systemd_notify:open(systemd_env:value("NOTIFY_SOCKET", Variables)),
    _ = systemd_nif:loaded() andalso systemd_listen:give_back(),
    systemd_listen:check(Variables),
    systemd_fd_store:open(Variables),
    {ok, Supervisor} = systemd_sup:start_link(children(Opened, Variables)),
    systemd_info:open(Variables),
    systemd_config:log_problems(),
    {ok, Supervisor, Variables}.

%% Sends `STOPPING=1' only if the VM stops. If only this application stops, the service continues, and since systemd 259
%% a service can't take `STOPPING=1' back.
prep_stop(Variables) ->
    {Status, _} = init:get_status(),
    _ = Status =:= stopping andalso systemd_lifecycle:announce_end(),
    Variables.

stop(Variables) ->
    systemd_signal:uninstall(),
    systemd_lifecycle:close(),
    systemd_notify:close(),
    systemd_fd_store:close(),
    systemd_info:close(),
    systemd_env:restore(Variables).

%% Runs in the application controller. install/0 calls application:set_env/3, which calls the application controller, so
%% it runs in a process of its own.
config_change(_Changed, _New, _Removed) ->
    _ = spawn(fun systemd_lifecycle:install/0),
    ok.

%% Memory pressure is watched even without NOTIFY_SOCKET: systemd sets MEMORY_PRESSURE_WATCH for units of any Type=.
children(Opened, Variables) ->
    case {Opened, systemd_memory_pressure:child_spec(Variables)} of
        {absent, []} -> [];
        {_, Watch} -> [log() | notifying(Opened, Variables)] ++ Watch
    end.

log() -> #{id => systemd_log, start => {systemd_log, start_link, []}}.

notifying(absent, _) ->
    [];
notifying({error, Reason}, Variables) ->
    logger:error("systemd: nothing can be sent: ~ts", [systemd_reason:explain(Reason)]),
    case systemd_reason:is_temporary(Reason) of
        true -> notifying({ok, later}, Variables);
        false -> []
    end;
notifying({ok, _}, Variables) ->
    systemd_main_pid:claim(),
    systemd_lifecycle:open(),
    Requests = systemd_signal:install(),
    systemd_readiness:child_specs() ++ watchdog(Variables) ++ [systemd_reload:child_spec(Requests)].

watchdog(Variables) ->
    Usec = systemd_env:value("WATCHDOG_USEC", Variables),
    Pid = systemd_main_pid:watchdog_pid(systemd_env:value("WATCHDOG_PID", Variables)),
    case systemd_nif:watchdog_usec(Usec, Pid) of
        {ok, Timeout} ->
            systemd_watchdog:open(Timeout, true);
        {another, Timeout} ->
            %% With PrivatePIDs= the VM is PID 1 of its namespace, and WATCHDOG_PID may be its PID outside of it.
            _ = os:getpid() =:= "1" andalso watchdog_is_off("WATCHDOG_PID", "not this process. PrivatePIDs= may be the "
                "reason; watchdog(enable) turns the watchdog on", Variables),
            systemd_watchdog:open(Timeout, false);
        undefined ->
            [];
        {error, {invalid_value, Name}} ->
            watchdog_is_off(binary_to_list(Name), "invalid", Variables),
            []
    end.

watchdog_is_off(Name, Why, Variables) ->
    logger:error("systemd: the watchdog is off: ~ts=~0tp is ~ts", [Name, systemd_env:value(Name, Variables), Why]).
