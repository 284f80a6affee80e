%% What an application adds to a release: prints the microseconds since the VM was started, and the kilobytes that are
%% resident.
-module(bench_footprint).
-export([main/0]).

main() ->
    {ok, _} = application:ensure_all_started(kernel),
    Since = erlang:monotonic_time() - erlang:system_info(start_time),
    [garbage_collect(Pid) || Pid <- processes()],
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, [1], list}]),
    io:format("~b ~s~n", [erlang:convert_time_unit(Since, native, microsecond), Kilobytes]),
    halt().
