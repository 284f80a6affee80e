%% @private
%% The child that says `READY=1', and leaves no process behind.
-module(systemd_ready).

-export([child_spec/1, start_link/1]).

-spec child_spec(Status :: default | undefined | nil | unicode:chardata()) -> supervisor:child_spec().
child_spec(Status) ->
    #{
        id => {?MODULE, make_ref()},
        start => {?MODULE, start_link, [Status]},
        restart => temporary,
        modules => [?MODULE]
    }.

-spec start_link(Status :: default | undefined | nil | unicode:chardata()) -> ignore.
start_link(Status) ->
    _ = systemd_notify:send_early(states(Status)),
    ignore.

%% A status that the service has set already says more than ours.
states(default) ->
    case systemd_notify:has_announced(status) of
        true -> [ready];
        false -> [ready, {status, <<"ready">>}]
    end;
states(None) when None =:= undefined; None =:= nil ->
    [ready];
states(Status) ->
    [ready, {status, Status}].
