%% @private
%% Warns when the service has not said `READY=1' for a while, then ends.
-module(systemd_readiness).

-export([child_spec/0, start_link/1]).
-export([wait/1, woken/1]).

-spec child_spec() -> [supervisor:child_spec()].
child_spec() ->
    Millis = systemd_config:value(warn_about_readiness_message),
    [#{id => ?MODULE, start => {?MODULE, start_link, [Millis]}, restart => transient} || Millis =/= false].

start_link(Millis) ->
    Pid = proc_lib:spawn_link(?MODULE, wait, [Millis]),
    _ = erlang:send_after(Millis, Pid, late),
    {ok, Pid}.

%% Asleep it runs no version of this module, so that any other may be loaded.
wait(Millis) -> proc_lib:hibernate(?MODULE, woken, [Millis]).

woken(Millis) ->
    receive
        late ->
            systemd_notify:has_announced(ready) orelse
                logger:warning("systemd: no READY=1 was sent within ~b ms. With Type=notify, systemd waits for it, and ends "
                    "the service after TimeoutStartSec=. Put systemd:ready() at the end of the supervision tree. "
                    "The config key warn_about_readiness_message sets when this warning comes", [Millis]);
        _ ->
            wait(Millis)
    end.
