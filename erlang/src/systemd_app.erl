%% @private
-module(systemd_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

start(_Type, _Args) ->
    systemd_logger:install(),
    Variables = systemd_env:take(),
    case systemd_notify:open(systemd_env:value("NOTIFY_SOCKET", Variables)) of
        ok ->
            ok;
        {error, Reason} ->
            logger:error("systemd: nothing can be sent: ~ts", [systemd_notify:explain(Reason)])
    end,
    systemd_listen:check(Variables),
    systemd_fd_store:open(Variables),
    {ok, Supervisor} = systemd_sup:start_link(children(systemd_notify:notifier(), Variables)),
    {ok, Supervisor, Variables}.

%% Comes after a crash too, which the service may survive.
prep_stop(Variables) ->
    _ = whereis(systemd_sup) =/= undefined andalso systemd_shutdown:stopping(),
    Variables.

stop(Variables) ->
    systemd_sighup:uninstall(),
    _ = persistent_term:erase(systemd_watchdog),
    systemd_notify:close(),
    systemd_fd_store:close(),
    systemd_env:restore(Variables).

children(undefined, _) ->
    [];
children({error, _}, _) ->
    [log()];
children(Notifier, Variables) ->
    systemd_shutdown:install(),
    systemd_sighup:install(),
    [log() | systemd_readiness:child_spec() ++ watchdog(Notifier, Variables)].

log() -> #{id => systemd_log, start => {systemd_log, start_link, []}}.

watchdog(Notifier, Variables) ->
    Usec = systemd_env:value("WATCHDOG_USEC", Variables),
    Pid = systemd_env:value("WATCHDOG_PID", Variables),
    case systemd_nif:watchdog_usec(Usec, Pid) of
        {ok, Timeout} ->
            [systemd_watchdog:child_spec(Notifier, Timeout)];
        undefined ->
            [];
        {error, {invalid_value, Name}} ->
            logger:error("systemd: the watchdog is off: ~ts=~0tp is invalid", [
                Name, systemd_env:value(binary_to_list(Name), Variables)
            ]),
            []
    end.
