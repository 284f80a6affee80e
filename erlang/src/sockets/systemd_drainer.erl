%% @private
%% Takes listening sockets from their servers in a shutdown of the service, and waits for the open requests.
-module(systemd_drainer).

-export([child_spec/2, drain/4]).

%% In milliseconds.
-define(TIMEOUT, 30000).
%% If there was no request for this long, the shutdown loses none.
-define(QUIET, 50).
-define(INTERVAL, 10).
%% The time between two statuses.
-define(STATUS_INTERVAL, 200).
%% systemd waits this much longer than the timeout, so that it gets the status that says what is left.
-define(GRACE, 5000).

-record(drain, {
    listeners :: [{Fd :: non_neg_integer(), systemd_nif:taken()}],
    status :: unicode:chardata(),
    wait :: requests | connections,
    started :: integer(),
    deadline :: systemd_wait:deadline(),
    quiet_since = none :: none | integer(),
    shown = {none, 0} :: {Count :: none | non_neg_integer(), At :: integer()}
}).

-spec child_spec(systemd:listener() | [systemd:listener()], [systemd:drain_option()]) -> supervisor:child_spec().
child_spec(Listeners, Options) ->
    Args = [listed(Listeners) | options(Options, ?TIMEOUT, "draining", requests)],
    %% The drainer has a timeout of its own.
    (systemd_status:child_spec([], {?MODULE, drain, Args}))#{shutdown => infinity}.

%% A list of printable characters is one name.
listed([Char | _] = Listeners) when is_integer(Char), Char >= $\s ->
    case io_lib:printable_latin1_list(Listeners) of
        true -> [Listeners];
        false -> [valid(Listener) || Listener <- Listeners]
    end;
listed(Listeners) when is_list(Listeners) -> [valid(Listener) || Listener <- Listeners];
listed(Listener) -> [valid(Listener)].

valid({port, Port} = Listener) when is_integer(Port), Port > 0, Port < 65536 -> Listener;
valid(Fd) when is_integer(Fd), Fd >= 0, Fd < 1 bsl 31 -> Fd;
valid(Name) when is_atom(Name); is_binary(Name); is_list(Name) -> Name;
valid(Other) -> error(badarg, [Other]).

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
    Started = now_millis(),
    Deadline = Started + Timeout,
    %% First find the descriptors of all listeners, then take them: a search by port would find a taken listener again.
    Fds = lists:usort(lists:append([descriptors(Listener) || systemd_nif:loaded(), Listener <- Listeners])),
    case [{Fd, Taken} || Fd <- Fds, {ok, Taken} <- [take_away(Fd, Deadline)]] of
        [] ->
            systemd_log:say(notice, "systemd: no listener to drain: ~0tp", [Listeners]);
        Taken ->
            systemd_listen:remember(Taken),
            Drain = #drain{
                listeners = Taken, status = Status, wait = Wait, started = Started, deadline = Deadline
            },
            systemd_extension:while(fun() -> await(Drain) end, [{limit, Timeout + ?GRACE}]),
            lists:foreach(fun systemd_nif:close_taken/1, [Own || {_, {_, _, _, false} = Own} <- Taken])
    end.

descriptors(Listener) ->
    case systemd_listen:listeners(Listener) of
        {ok, Fds} ->
            Fds;
        {error, Reason} ->
            not_drained(Listener, Reason),
            []
    end.

take_away(Fd, Deadline) ->
    case {systemd_nif:take_away(Fd), systemd_wait:rest(Deadline)} of
        {{ok, _} = Taken, _} ->
            Taken;
        {{error, Reason}, Rest} when Rest > 0, Reason =:= emfile orelse Reason =:= enfile ->
            %% A connection that ends frees a descriptor.
            timer:sleep(?INTERVAL),
            take_away(Fd, Deadline);
        %% The descriptor does not listen, or another drainer has taken it.
        {{error, Reason} = Error, _} when Reason =:= einval; Reason =:= ealready ->
            Error;
        {{error, Reason} = Error, _} ->
            not_drained(Fd, Reason),
            Error
    end.

not_drained(Listener, Reason) ->
    systemd_log:say(error, "systemd: cannot drain the listener ~0tp: ~ts", [Listener, systemd_reason:posix(Reason)]).

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
    case systemd_nif:connections([Fd || {_, {Fd, _, _, _}} <- Listeners], Elapsed) of
        {ok, {Open, _}} when Wait =:= connections -> Open;
        {ok, {_, WithRequest}} -> WithRequest;
        %% Counting needs a free descriptor, and there is none: so at least one connection is open.
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
