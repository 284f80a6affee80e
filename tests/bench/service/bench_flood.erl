%% Log lines for a journal that stores them: `erl -run bench_flood main HANDLER NAME PROCESSES LINES FILE'. Writes
%% the nanoseconds until all that waited to be sent are gone.
-module(bench_flood).
-export([main/1]).

main([Handler, Name, Processes, Lines, File]) ->
    {ok, _} = application:ensure_all_started(systemd),
    ok = logger:remove_handler(default),
    ok = logger:add_handler(bench, list_to_atom(Handler), #{
        formatter => {logger_formatter, #{template => template(Handler), single_line => false}}
    }),
    From = erlang:monotonic_time(nanosecond),
    _ = live_flood:flood(Name, list_to_integer(Processes), list_to_integer(Lines)),
    _ = logger:remove_handler(bench),
    ok = file:write_file(File, integer_to_list(erlang:monotonic_time(nanosecond) - From)),
    init:stop().

template("logger_std_h") -> [msg, "\n"];
template(_) -> [msg].
