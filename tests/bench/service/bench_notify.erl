%% What a notification costs: `erl -run bench_notify main PROCESSES CALLS' prints nanoseconds, from the first
%% call to the last.
-module(bench_notify).
-export([main/1]).

main(Args) ->
    [Processes, Calls] = [list_to_integer(Arg) || Arg <- Args],
    {ok, _} = application:ensure_all_started(systemd),
    calls(Calls div 10 + 1),
    From = erlang:monotonic_time(),
    Running = [spawn_monitor(fun() -> calls(Calls div Processes) end) || _ <- lists:seq(1, Processes)],
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Running],
    Nanos = erlang:convert_time_unit(erlang:monotonic_time() - From, native, nanosecond),
    io:format("~b~n", [Nanos]),
    halt().

calls(0) ->
    ok;
calls(N) ->
    ok = systemd:notify({status, <<"1204 users, 17 requests a second">>}),
    calls(N - 1).
