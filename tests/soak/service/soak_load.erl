%% What a service does all at once, until it is told to stop: notifications, log lines, descriptors and terms that
%% are stored and cleared, children of systemd_sup that are killed, and schedulers that are stalled.
-module(soak_load).
-export([start/2, stop/0, reload/0, reloads/0]).

-include_lib("kernel/include/logger.hrl").

-define(NOTIFIERS, 4).
-define(LOGGERS, 10).
%% In milliseconds.
-define(STALL, 300).

%% So many notifications and log lines a second.
start(Notifications, Lines) ->
    Work =
        [{{notify, N}, Notifications / ?NOTIFIERS} || N <- lists:seq(1, ?NOTIFIERS)] ++
            [{{log, N}, Lines / ?LOGGERS} || N <- lists:seq(1, ?LOGGERS)] ++
            [{store, 20}, {kill, 4}, {stall, 0.5}],
    Pid = spawn(fun() ->
        Workers = [spawn_monitor(fun() -> work(What, Rate) end) || {What, Rate} <- Work],
        receive {stop, From, Ref} -> From ! {Ref, stopped(Workers)} end
    end),
    true = register(?MODULE, Pid),
    ok.

%% How often each thing was done, by what it returned.
stop() ->
    Ref = make_ref(),
    ?MODULE ! {stop, self(), Ref},
    receive {Ref, Counts} -> Counts end.

%% The function of the config key `reload'.
reload() ->
    ok = counters:add(counter(), 1, 1).

reloads() -> counters:get(counter(), 1).

counter() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            persistent_term:put(?MODULE, counters:new(1, [])),
            counter();
        Counter ->
            Counter
    end.

stopped(Workers) ->
    [Worker ! stop || {Worker, _} <- Workers],
    Counts = [
        receive {'DOWN', Monitor, process, Worker, {counts, Counts}} -> Counts end
     || {Worker, Monitor} <- Workers
    ],
    lists:foldl(fun(Some, Sum) -> maps:merge_with(fun(_, A, B) -> A + B end, Some, Sum) end, #{}, Counts).

work(What, Rate) -> work(What, Rate, erlang:monotonic_time(millisecond), 0, #{}).

%% What a stall has held up is made up for.
work(What, Rate, Start, Done, Counts) ->
    Due = floor((erlang:monotonic_time(millisecond) - Start) * Rate / 1000),
    Next = lists:foldl(fun(N, Sum) -> add({kind(What), do(What, N)}, Sum) end, Counts, lists:seq(Done + 1, Due)),
    receive stop -> exit({counts, Next})
    after 10 -> work(What, Rate, Start, max(Done, Due), Next)
    end.

kind({Kind, _}) -> Kind;
kind(Kind) -> Kind.

add(Key, Counts) -> maps:update_with(Key, fun(Count) -> Count + 1 end, 1, Counts).

do({notify, Notifier}, N) ->
    systemd:notify({status, io_lib:format("notifier ~b: ~b", [Notifier, N])});
do({log, Logger}, N) ->
    ?LOG_NOTICE("soak ~b ~b", [Logger, N]);
do(store, N) ->
    {ok, Socket} = socket:open(inet, dgram),
    Stored = [systemd:store_fds([{Socket, soak}]), systemd:store_term(soak_term, N)],
    Cleared = [systemd:clear_fds([soak])],
    ok = socket:close(Socket),
    lists:usort(Stored ++ Cleared);
do(kill, _) ->
    Pids = [Pid || {_, Pid, _, _} <- supervisor:which_children(systemd_sup), is_pid(Pid)],
    exit(lists:nth(rand:uniform(length(Pids)), Pids), kill);
%% One of them, or all.
do(stall, N) ->
    {module, _} = code:ensure_loaded(live_block),
    Online = erlang:system_info(schedulers_online),
    Stalled = case N rem 2 of 0 -> lists:seq(1, Online); 1 -> [rand:uniform(Online)] end,
    [spawn_opt(live_block, block, [?STALL], [{scheduler, Scheduler}]) || Scheduler <- Stalled],
    ok.
