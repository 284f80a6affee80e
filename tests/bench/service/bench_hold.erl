%% For how long a normal scheduler is held by each NIF, as the VM's own tracing tells it:
%% `erl -run bench_hold main CALLS PID...' prints a line for each: its name, how often it was called, and
%% nanoseconds at 50 %, at 99.9 % and at most. With pids, these processes, which read what is sent, are stopped
%% meanwhile. Tracing is in it: about a microsecond.
-module(bench_hold).
-export([main/1]).

-include_lib("kernel/include/logger.hrl").

main([Calls | Readers]) ->
    Count = list_to_integer(Calls),
    Paths = [os:getenv(Variable) || Variable <- ["NOTIFY_SOCKET", "JOURNAL_SOCKET"]],
    Samples = traced(fun() ->
        start(),
        signal("STOP", Readers),
        [fill(Path) || Readers =/= [], Path <- Paths],
        each_of(Count),
        signal("CONT", Readers),
        [again() || Readers =:= [], _ <- lists:seq(1, 50)]
    end),
    maps:foreach(fun print/2, Samples),
    halt().

start() ->
    {ok, _} = application:ensure_all_started(systemd),
    _ = logger:remove_handler(default),
    ok = logger:add_handler(bench, systemd_journal_h, #{config => #{path => os:getenv("JOURNAL_SOCKET")}}).

%% What is called when something starts or stops, or now and then.
again() ->
    ok = logger:remove_handler(bench),
    ok = application:stop(systemd),
    start(),
    [ok = systemd:watchdog(What) || What <- [disable, enable, ping]],
    ok = systemd:extend_timeout_while(fun() -> ok end).

%% Until the reader, which is stopped, has no room for anybody any more: a socket may be at its own limit before.
fill(Path) ->
    {ok, Socket} = socket:open(local, dgram),
    ok = socket:connect(Socket, #{family => local, path => Path}),
    fill_by(Socket, 0) > 0 andalso fill(Path).

fill_by(Socket, Sent) ->
    case socket:send(Socket, <<"X_BENCH=1\n">>, [], 0) of
        ok -> fill_by(Socket, Sent + 1);
        {error, timeout} -> Sent
    end.

signal(_, []) -> ok;
signal(Signal, Pids) -> [] = os:cmd(lists:join(" ", ["kill -" ++ Signal | Pids])).

%% By several processes, because a reader that is stopped lets each of them wait.
each_of(Count) ->
    Running = [
        spawn_monitor(fun() -> [each() || _ <- lists:seq(1, Count div 10)] end)
     || _ <- lists:seq(1, 10)
    ],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Running].

each() ->
    _ = systemd:notify([{status, <<"1204 users, 17 requests a second">>}, {"X_BENCH", 1}]),
    ?LOG_NOTICE("request ~b handled in ~b ms by ~s", [4711, 17, "worker"]),
    _ = systemd:info(),
    ok.

traced(Fun) ->
    Self = self(),
    Tracer = spawn_link(fun() -> collect(Self, #{}, #{}) end),
    {module, _} = code:ensure_loaded(systemd_nif),
    _ = erlang:trace_pattern({systemd_nif, '_', '_'}, [{'_', [], [{return_trace}]}], [local]),
    Flags = [call, running, monotonic_timestamp, {tracer, Tracer}],
    _ = erlang:trace(processes, true, Flags),
    _ = erlang:trace(Tracer, false, Flags),
    Fun(),
    timer:sleep(100),
    _ = erlang:trace(all, false, [all]),
    Tracer ! stop,
    receive {samples, Samples} -> Samples end.

%% The running call of each process, with the time since when it holds a scheduler.
collect(Owner, Running, Samples) ->
    receive
        {trace_ts, Pid, call, {_, Name, _}, From} ->
            collect(Owner, Running#{Pid => {Name, From}}, Samples);
        {trace_ts, Pid, Event, _, To} when Event =:= out, is_map_key(Pid, Running) ->
            collect(Owner, maps:remove(Pid, Running), sample(Pid, To, Running, Samples));
        {trace_ts, Pid, return_from, _, _, To} when is_map_key(Pid, Running) ->
            collect(Owner, maps:remove(Pid, Running), sample(Pid, To, Running, Samples));
        stop ->
            Owner ! {samples, Samples};
        _ ->
            collect(Owner, Running, Samples)
    end.

sample(Pid, To, Running, Samples) ->
    #{Pid := {Name, From}} = Running,
    Nanos = erlang:convert_time_unit(To - From, native, nanosecond),
    maps:update_with(Name, fun(Earlier) -> [Nanos | Earlier] end, [Nanos], Samples).

print(Name, Samples) ->
    Sorted = lists:sort(Samples),
    Count = length(Sorted),
    At = fun(Share) -> lists:nth(max(1, ceil(Share * Count)), Sorted) end,
    io:format("~s ~b ~b ~b ~b~n", [Name, Count, At(0.5), At(0.999), lists:last(Sorted)]).
