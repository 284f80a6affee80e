%% Many log calls, measured.
-module(live_flood).
-export([flood/3, steady/4, lateness/1]).

-include_lib("kernel/include/logger.hrl").

%% So many lines of so many processes: microseconds until the last call has returned.
flood(Name, Processes, Lines) ->
    {Micros, _} = timer:tc(fun() ->
        all([fun() -> lines(Name, Process, Lines div Processes) end || Process <- lists:seq(1, Processes)])
    end),
    Micros.

lines(Name, Process, Lines) ->
    [?LOG_NOTICE("~s ~b ~b", [Name, Process, N]) || N <- lists:seq(1, Lines)].

%% For so many seconds, by so many processes: the lines logged, and the longest call in microseconds.
steady(Name, Processes, PerSecond, Seconds) ->
    End = erlang:monotonic_time(millisecond) + Seconds * 1000,
    %% Each process logs as many every 10 ms.
    Burst = max(1, PerSecond div Processes div 100),
    Results = all([fun() -> bursts(Name, Process, Burst, End, 0, 0) end || Process <- lists:seq(1, Processes)]),
    {Counts, Longest} = lists:unzip(Results),
    {lists:sum(Counts), lists:max(Longest)}.

bursts(Name, Process, Burst, End, Count, Longest) ->
    case erlang:monotonic_time(millisecond) < End of
        true ->
            Times = [
                element(1, timer:tc(fun() -> ?LOG_NOTICE("~s ~b ~b", [Name, Process, Count + N]) end))
             || N <- lists:seq(1, Burst)
            ],
            timer:sleep(10),
            bursts(Name, Process, Burst, End, Count + Burst, max(Longest, lists:max(Times)));
        false ->
            {Count, Longest}
    end.

%% How late a timer of 5 ms was, in microseconds: all that ten processes saw, sorted.
lateness(Seconds) ->
    End = erlang:monotonic_time(millisecond) + Seconds * 1000,
    lists:sort(lists:append(all([fun() -> late(End, []) end || _ <- lists:seq(1, 10)]))).

late(End, Seen) ->
    case erlang:monotonic_time(millisecond) < End of
        true ->
            {Micros, _} = timer:tc(fun() -> receive after 5 -> ok end end),
            late(End, [Micros - 5000 | Seen]);
        false ->
            Seen
    end.

all(Funs) ->
    Self = self(),
    Refs = [begin Ref = make_ref(), spawn_link(fun() -> Self ! {Ref, Fun()} end), Ref end || Fun <- Funs],
    [receive {Ref, Result} -> Result end || Ref <- Refs].
