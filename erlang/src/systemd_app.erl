%% @private
-module(systemd_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

start(_Type, _Args) ->
    systemd_logger:install(),
    Variables = systemd_env:take(),
    Opened = systemd_notify:open(systemd_env:value("NOTIFY_SOCKET", Variables)),
    systemd_listen:check(Variables),
    systemd_fd_store:open(Variables),
    {ok, Supervisor} = systemd_sup:start_link(children(Opened, Variables)),
    systemd_info:open(Variables),
    {ok, Supervisor, Variables}.

%% The service goes on when only this application stops, and from systemd 259 on `STOPPING=1' is final.
prep_stop(Variables) ->
    {Status, _} = init:get_status(),
    _ = Status =:= stopping andalso systemd_shutdown:stopping(),
    Variables.

stop(Variables) ->
    systemd_sighup:uninstall(),
    systemd_watchdog:forget(),
    systemd_notify:close(),
    systemd_fd_store:close(),
    systemd_info:close(),
    systemd_env:restore(Variables).

children(not_under_systemd, Variables) ->
    %% It has a variable of its own, which units of any Type= have.
    case systemd_memory_pressure:child_spec(Variables) of
        [] -> [];
        Watch -> [log() | Watch]
    end;
children({error, Reason}, Variables) ->
    logger:error("systemd: nothing can be sent: ~ts", [systemd_reason:explain(Reason)]),
    case systemd_reason:may_pass(Reason) of
        true -> children(ok, Variables);
        false -> [log() | systemd_memory_pressure:child_spec(Variables)]
    end;
children(ok, Variables) ->
    systemd_shutdown:install(),
    systemd_sighup:install(),
    systemd_main_pid:claim(),
    [log() | systemd_readiness:child_spec() ++ watchdog(Variables)] ++
        [systemd_reload:child_spec() | systemd_memory_pressure:child_spec(Variables)].

log() -> #{id => systemd_log, start => {systemd_log, start_link, []}}.

watchdog(Variables) ->
    Usec = systemd_env:value("WATCHDOG_USEC", Variables),
    Pid = systemd_main_pid:heir(systemd_env:value("WATCHDOG_PID", Variables)),
    case systemd_nif:watchdog_usec(Usec, Pid) of
        {ok, Timeout} ->
            [systemd_watchdog:child_spec(Timeout)];
        undefined ->
            [];
        {error, {invalid_value, Name}} ->
            logger:error("systemd: the watchdog is off: ~ts=~0tp is invalid", [
                Name, systemd_env:value(binary_to_list(Name), Variables)
            ]),
            []
    end.
