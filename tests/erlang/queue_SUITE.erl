%% The manager's queue is full, and nobody reads it.
-module(queue_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

%% systemd_notify waits 2 s.
-define(BOUND, 2000).

all() -> [nobody_is_blocked, goes_on_when_there_is_room, ping_is_not_lost, no_pool_is_taken].

suite() -> [{timetrap, {minutes, 2}}].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "60000000"),
    ok = application:start(systemd),
    <<"WATCHDOG=1\n">> = recorder:next(Recorder),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    recorder:stop(proplists:get_value(recorder, Config)),
    application:stop(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]].

fill() ->
    case timer:tc(systemd, notify, [{status, "full"}]) of
        {Micros, ok} when Micros < 1000000 -> fill();
        {_, {error, eagain}} -> ok
    end.

nobody_is_blocked(_) ->
    fill(),
    Self = self(),
    Meter = spawn_link(fun() -> lateness(0, 0) end),
    Senders = [
        spawn_monitor(fun() ->
            Self ! {calls, [timer:tc(systemd, notify, [{status, "x"}]) || _ <- lists:seq(1, 10)]}
        end)
     || _ <- lists:seq(1, 100)
    ],
    [receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Senders],
    Calls = lists:append([receive {calls, List} -> List end || _ <- Senders]),
    ?assertEqual(1000, length(Calls)),
    [?assert(lists:member(Result, [ok, {error, eagain}])) || {_, Result} <- Calls],
    Longest = lists:max([Micros || {Micros, _} <- Calls]) div 1000,
    Meter ! {report, self()},
    {Timer, File} = receive {lateness, Lateness} -> Lateness end,
    io:format(user, "~nqueue full, 1,000 calls of 100 processes: longest ~b ms; meanwhile a timer was late "
        "by ~b ms, and reading a file took ~b ms, at worst~n", [Longest, Timer, File]),
    ?assert(Longest < ?BOUND + 500),
    %% A scheduler that waited would keep them for as long as the calls.
    ?assert(Timer < ?BOUND div 2),
    ?assert(File < ?BOUND div 2).

%% The worst that a timer and the dirty I/O schedulers saw, in milliseconds.
lateness(Timer, File) ->
    receive {report, To} -> To ! {lateness, {Timer, File}}
    after 0 ->
        {Sleep, ok} = timer:tc(timer, sleep, [5]),
        {Read, {ok, _}} = timer:tc(fun read_file/0),
        lateness(max(Timer, Sleep div 1000 - 5), max(File, Read div 1000))
    end.

read_file() ->
    {ok, File} = file:open("/proc/self/stat", [raw]),
    Result = file:read(File, 100),
    ok = file:close(File),
    Result.

goes_on_when_there_is_room(Config) ->
    fill(),
    Recorder = proplists:get_value(recorder, Config),
    Self = self(),
    spawn_link(fun() -> Self ! {sent, systemd:notify({status, "last"})} end),
    receive {sent, _} -> error(too_early) after 200 -> ok end,
    <<"STATUS=full\n">> = recorder:next(Recorder),
    receive {sent, Result} -> ?assertEqual(ok, Result) after 200 -> error(too_late) end,
    ?assertEqual(<<"STATUS=last\n">>, lists:last(recorder:all(Recorder))).

%% The thread tries again until there is room.
ping_is_not_lost(Config) ->
    fill(),
    Recorder = proplists:get_value(recorder, Config),
    systemd:watchdog(disable),
    systemd:watchdog(enable),
    timer:sleep(200),
    %% While they are read, or afterwards.
    ?assert(lists:member(<<"WATCHDOG=1\n">>, recorder:all(Recorder) ++ [recorder:next(Recorder)])).

%% With so many dirty I/O schedulers: what reading a file takes while forty callers wait for the manager and as many for
%% journald.
no_pool_is_taken(_) ->
    Worst = [{Pool, reading_meanwhile(Pool)} || Pool <- [1, 2, 4, 10]],
    io:format(user, "~n+SDio, and the worst of reading a file while both queues are full, in ms: ~0p~n", [Worst]),
    [?assert(Millis < 500) || {_, Millis} <- Worst].

reading_meanwhile(Pool) ->
    [Manager, Journald] = Recorders = [recorder:start(), recorder:start()],
    Result = recorder:path(Manager) ++ ".result",
    Flags = os:getenv("ERL_FLAGS", ""),
    os:putenv("ERL_FLAGS", Flags ++ " +SDio " ++ integer_to_list(Pool)),
    Service = service:start(Manager, "{status, \"up\"}"),
    os:putenv("ERL_FLAGS", Flags),
    await(fun() -> recorder:next(Manager) =:= <<"STATUS=up\n">> end),
    lists:foreach(fun recorder:fill/1, Recorders),
    service:eval(Service, lists:flatten(io_lib:format("queue_SUITE:read_meanwhile(~0p, ~0p)", [recorder:path(Journald), Result]))),
    await(fun() -> filelib:is_regular(Result) end),
    {ok, Text} = file:read_file(Result),
    ok = file:delete(Result),
    service:stop(Service),
    lists:foreach(fun recorder:stop/1, Recorders),
    binary_to_integer(Text).

await(Fun) -> Fun() orelse begin timer:sleep(20), await(Fun) end.

%% Runs in the service.
read_meanwhile(Path, Result) ->
    ok = logger:add_handler(journal, systemd_journal_h, #{config => #{path => Path}}),
    {ok, systemd} = application:get_application(systemd_sup),
    %% Without the default handler, which would wait for them.
    ok = logger:remove_handler(default),
    Callers = [
        spawn_monitor(fun() -> [Call() || _ <- [1, 2]] end)
     || Call <- [fun() -> systemd:notify({status, "x"}) end, fun() -> logger:error("x") end], _ <- lists:seq(1, 40)
    ],
    Meter = spawn_link(fun() -> lateness(0, 0) end),
    [receive {'DOWN', Monitor, _, _, _} -> ok end || {_, Monitor} <- Callers],
    Meter ! {report, self()},
    {_, File} = receive {lateness, Lateness} -> Lateness end,
    ok = file:write_file(Result ++ ".new", integer_to_list(File)),
    ok = file:rename(Result ++ ".new", Result).
