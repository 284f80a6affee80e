%% What a log call costs: `erl -run bench_journal main HANDLER BYTES CALLS' prints nanoseconds, from the
%% first call to the last, with a message of so many bytes, or with a format when they are 0. The handler is
%% `systemd_journal_h', `logger_std_h' for standard output, or this module, which formats and sends nothing.
-module(bench_journal).
-export([main/1, log/2]).

-include_lib("kernel/include/logger.hrl").

main([Handler | Numbers]) ->
    [Bytes, Calls] = [list_to_integer(Number) || Number <- Numbers],
    {ok, _} = application:ensure_all_started(systemd),
    ok = logger:remove_handler(default),
    ok = logger:add_handler(bench, list_to_atom(Handler), #{
        formatter => {logger_formatter, #{template => template(Handler), single_line => false}}
    }),
    Message = binary:copy(<<"a">>, Bytes),
    calls(Message, Calls div 10 + 1),
    From = erlang:monotonic_time(),
    calls(Message, Calls),
    Nanos = erlang:convert_time_unit(erlang:monotonic_time() - From, native, nanosecond),
    io:format(standard_error, "~b~n", [Nanos]),
    halt().

template("logger_std_h") -> [msg, "\n"];
template(_) -> [msg].

log(Event, #{formatter := {Module, Config}}) ->
    _ = Module:format(Event, Config),
    ok.

calls(_, 0) ->
    ok;
calls(<<>>, N) ->
    ?LOG_NOTICE("request ~b handled in ~b ms by ~s", [N, 17, "worker"]),
    calls(<<>>, N - 1);
calls(Message, N) ->
    ?LOG_NOTICE(Message),
    calls(Message, N - 1).
