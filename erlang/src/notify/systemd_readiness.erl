%% @private
%% Two processes that wait, act once and end. One warns if the service has not sent `READY=1' for a while. The other
%% makes systemd forget earlier restarts after the service has run for a while, see RestartSteps= in systemd.service(5).
-module(systemd_readiness).

-export([child_specs/0, start_link/2]).
-export([wait/2, woken/2]).

%% In milliseconds.
-define(FORGET_RESTARTS_AFTER, 600000).

-spec child_specs() -> [supervisor:child_spec()].
child_specs() ->
    Millis = systemd_config:value(warn_about_readiness_message),
    [child_spec(?MODULE, warn, Millis) || Millis =/= false] ++
        [child_spec(systemd_restart_reset, forget_restarts, ?FORGET_RESTARTS_AFTER)].

child_spec(Id, What, Millis) -> #{id => Id, start => {?MODULE, start_link, [What, Millis]}, restart => transient}.

start_link(What, Millis) ->
    Pid = proc_lib:spawn_link(?MODULE, wait, [What, Millis]),
    _ = erlang:send_after(Millis, Pid, due),
    {ok, Pid}.

%% A process in hibernation uses no version of this module, so that a new one can be loaded.
wait(What, Millis) -> proc_lib:hibernate(?MODULE, woken, [What, Millis]).

woken(What, Millis) ->
    receive
        due -> due(What, Millis);
        _ -> wait(What, Millis)
    end.

due(warn, Millis) ->
    systemd_notify:has_announced(ready) orelse
        logger:warning("systemd: no READY=1 was sent within ~b ms. With Type=notify, systemd waits for it, and ends the "
            "service after TimeoutStartSec=. Put systemd:ready() at the end of the supervision tree. The config key "
            "warn_about_readiness_message sets when this warning comes", [Millis]);
%% systemd before version 258 ignores `RESTART_RESET=1'.
due(forget_restarts, Millis) ->
    case systemd_lifecycle:state() of
        running -> systemd_notify:send(restart_reset);
        _ -> _ = erlang:send_after(Millis, self(), due), wait(forget_restarts, Millis)
    end.
