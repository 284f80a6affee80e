%% @private
%% Takes listeners away from their servers in a shutdown of the service, and waits for the requests that are open.
-module(systemd_drainer).

-export([child_spec/2, drain/4]).

%% In milliseconds.
-define(TIMEOUT, 30000).
%% When there was no request for so long, nothing is lost by going down.
-define(QUIET, 50).
-define(INTERVAL, 10).
%% Between two statuses.
-define(STATUS_INTERVAL, 200).
%% The manager gets to know what is left before the time is up that it was asked for.
-define(TO_TELL, 5000).

-record(drain, {
    listeners :: [{Fd :: non_neg_integer(), systemd_nif:taken()}],
    status :: unicode:chardata(),
    wait :: requests | connections,
    started = now_millis() :: integer(),
    deadline :: systemd_wait:deadline(),
    quiet_since = none :: none | integer(),
    shown = {none, 0} :: {Count :: none | non_neg_integer(), At :: integer()}
}).

-spec child_spec(systemd:listener() | [systemd:listener()], [systemd:drain_option()]) -> supervisor:child_spec().
child_spec(Listeners, Options) ->
    Args = [listed(Listeners) | options(Options, ?TIMEOUT, "draining", requests)],
    %% It has a limit of its own.
    (systemd_status:child_spec([], {?MODULE, drain, Args}))#{shutdown => infinity}.

%% A text is one name.
listed(Listeners) when is_list(Listeners) ->
    case Listeners =/= [] andalso io_lib:printable_unicode_list(Listeners) of
        true -> [Listeners];
        false -> Listeners
    end;
listed(Listener) ->
    [Listener].

options([{timeout, Timeout} | Rest], _, Status, Wait) when is_integer(Timeout), Timeout > 0, Timeout < 1 bsl 31 ->
    options(Rest, Timeout, Status, Wait);
options([{status, Status} | Rest], Timeout, _, Wait) ->
    options(Rest, Timeout, Status, Wait);
options([{wait, Wait} | Rest], Timeout, Status, _) when Wait =:= requests; Wait =:= connections ->
    options(Rest, Timeout, Status, Wait);
options([], Timeout, Status, Wait) ->
    [Timeout, Status, Wait];
options(Options, _, _, _) ->
    error(badarg, [Options]).

%% @doc Returns when no request is open, or after the timeout.
-spec drain([systemd:listener()], pos_integer(), unicode:chardata(), requests | connections) -> ok.
drain(Listeners, Timeout, Status, Wait) ->
    case lists:append([take_away(Listener) || Listener <- Listeners]) of
        [] ->
            systemd_log:say(notice, "systemd: nothing listens that could be drained: ~0tp", [Listeners]);
        Taken ->
            Drain = #drain{listeners = Taken, status = Status, wait = Wait, deadline = systemd_wait:deadline(Timeout)},
            systemd_extension:while(fun() -> await(Drain) end, [{limit, Timeout + ?TO_TELL}]),
            systemd_listen:keep(Taken)
    end.

take_away(Listener) ->
    [
        {Fd, Taken}
     || systemd_nif:loaded(), Fd <- systemd_listen:listeners(Listener), {ok, Taken} <- [take_away(Listener, Fd)]
    ].

take_away(Listener, Fd) ->
    case systemd_nif:take_away(Fd) of
        {ok, _} = Taken -> Taken;
        {error, Reason} ->
            systemd_log:say(error, "systemd: the listener ~0tp, descriptor ~b, can't be drained: ~ts", [
                Listener, Fd, systemd_reason:posix(Reason)
            ])
    end.

await(#drain{started = Started} = Drain) ->
    Now = now_millis(),
    Count = count(Now - Started, Drain),
    Shown = show(Count, Now, Drain),
    Quiet = case {Count, Drain#drain.quiet_since} of {0, none} -> Now; {0, Since} -> Since; _ -> none end,
    case {Quiet =/= none andalso Now - Quiet >= ?QUIET, systemd_wait:rest(Drain#drain.deadline)} of
        {true, _} ->
            drained(Now - Started);
        {false, 0} ->
            not_drained(Count, Now - Started, Drain);
        {false, _} ->
            timer:sleep(max(?INTERVAL, 4 * (now_millis() - Now))),
            await(Drain#drain{quiet_since = Quiet, shown = Shown})
    end.

count(Elapsed, #drain{listeners = Listeners, wait = Wait}) ->
    case systemd_nif:connections([Fd || {_, {Fd, _, _}} <- Listeners], Elapsed) of
        {ok, {Open, _}} when Wait =:= connections -> Open;
        {ok, {_, WithRequest}} -> WithRequest;
        %% No descriptor is left to look with: there is one at least.
        {error, _} -> 1
    end.

show(Count, Now, #drain{shown = {Shown, At}} = Drain) when
    Shown =:= none; Count =/= 0, Count =/= Shown, Now - At >= ?STATUS_INTERVAL
->
    _ = systemd_notify:send({status, [Drain#drain.status, ", ", counted(Count, Drain)]}),
    {Count, Now};
show(_, _, #drain{shown = Shown}) ->
    Shown.

counted(1, #drain{wait = requests}) -> "1 request";
counted(1, #drain{wait = connections}) -> "1 connection";
counted(Count, #drain{wait = Wait}) -> io_lib:format("~b ~s", [Count, Wait]).

drained(Millis) ->
    _ = systemd_notify:send({status, "drained"}),
    systemd_log:say(notice, "systemd: drained in ~b ms", [Millis]).

not_drained(Count, Millis, Drain) ->
    Text = io_lib:format("not drained after ~b ms: ~s left", [Millis, counted(Count, Drain)]),
    _ = systemd_notify:send({status, Text}),
    systemd_log:say(warning, "systemd: ~s", [Text]).

now_millis() -> erlang:monotonic_time(millisecond).
