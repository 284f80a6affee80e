%% What an application adds: `erl -run bench_footprint main APPLICATION' prints the microseconds that it takes
%% to start it, and the kilobytes that are resident afterwards. With kernel it is the VM alone.
-module(bench_footprint).
-export([main/1]).

main([Application]) ->
    {Micros, {ok, _}} = timer:tc(application, ensure_all_started, [list_to_atom(Application)]),
    [garbage_collect(Pid) || Pid <- processes()],
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, [1], list}]),
    io:format("~b ~s~n", [Micros, Kilobytes]),
    halt().
