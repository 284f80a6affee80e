%% What a log call costs: `erl -run live_cost main HANDLER'.
-module(live_cost).
-export([main/1, log/2]).

-include_lib("kernel/include/logger.hrl").

-define(LINES, 20000).
-define(FORMATTER, {logger_formatter, #{template => [msg], single_line => false}}).

%% Nanoseconds a call: the least of five floods of one process.
main([Handler]) ->
    ok = logger:remove_handler(default),
    {ok, _} = application:ensure_all_started(systemd),
    ok = logger:add_handler(cost, list_to_atom(Handler), #{formatter => ?FORMATTER}),
    lines(?LINES),
    Micros = lists:min([element(1, timer:tc(fun() -> lines(?LINES) end)) || _ <- lists:seq(1, 5)]),
    io:format("~b", [Micros * 1000 div ?LINES]),
    halt().

%% The base: a handler that formats the message and throws it away.
log(Event, #{formatter := {Module, Config}}) ->
    _ = Module:format(Event, Config),
    ok.

lines(0) -> ok;
lines(N) ->
    ?LOG_NOTICE("request ~b handled in ~b ms by ~s", [N, 17, "worker"]),
    lines(N - 1).
