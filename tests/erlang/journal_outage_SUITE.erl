%% systemd_journal_h while journald takes nothing: full, gone, and back again.
-module(journal_outage_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

-import(journald, [value/2]).

all() ->
    [
        waits_for_room, in_the_order_of_their_coming, killed_in_line, drops_after_the_bound, counts_every_line, nobody_is_blocked, a_bound_of_zero,
        odd_times, a_killed_teller,
        back_within_the_bound, gone_for_long, gone_with_the_handler, no_process_without_drops
    ].

suite() -> [{timetrap, {minutes, 1}}].

init_per_testcase(_, Config) ->
    stderr:start(),
    [{recorder, recorder:start()} | Config].

end_per_testcase(_, Config) ->
    _ = journald:remove(),
    stderr:stop(),
    recorder:stop(recorder(Config)).

recorder(Config) -> proplists:get_value(recorder, Config).

%% Until there is no more room: how many lines it took.
fill() -> fill(0).

fill(Count) ->
    case timer:tc(logger, notice, ["fill"]) of
        {Micros, ok} when Micros < 100000, Count < 1000 -> fill(Count + 1);
        {_, ok} -> Count
    end.

log(Text) -> millis(fun() -> logger:notice(Text) end).

millis(Fun) ->
    {Micros, _} = timer:tc(Fun),
    Micros div 1000.

%% Entries until there are no more: those of a text, and the report on what was dropped.
drain(Config) -> drain(Config, [], []).

drain(Config, Texts, Reports) ->
    case journald:next(recorder(Config), 1000) of
        nothing ->
            {lists:reverse(Texts), lists:reverse(Reports)};
        Entry ->
            case value(<<"N_DROPPED">>, Entry) of
                undefined -> drain(Config, [value(<<"MESSAGE">>, Entry) | Texts], Reports);
                _ -> drain(Config, Texts, [Entry | Reports])
            end
    end.

dropped(Reports) -> lists:sum([binary_to_integer(value(<<"N_DROPPED">>, Report)) || Report <- Reports]).

waits_for_room(Config) ->
    journald:add(recorder(Config), #{send_timeout => 300}),
    _ = fill(),
    journald:remove(),
    journald:add(recorder(Config), #{send_timeout => 5000}),
    Self = self(),
    spawn_link(fun() -> Self ! {took, log("last")} end),
    receive {took, _} -> error(too_early) after 300 -> ok end,
    {Texts, _} = drain(Config),
    receive {took, Millis} -> ?assert(Millis >= 300) end,
    ?assertEqual(<<"last">>, lists:last(Texts)).

%% Loggers of one line each, that wait in this order.
in_line(Config, Count) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    _ = fill(),
    ok = logger:update_handler_config(journal, config, #{send_timeout => 10000}),
    [
        begin
            Logger = spawn_monitor(fun() -> log(integer_to_list(N)), exit({mailbox, process_info(self(), messages)}) end),
            timer:sleep(10),
            Logger
        end
     || N <- lists:seq(1, Count)
    ].

in_the_order_of_their_coming(Config) ->
    Loggers = in_line(Config, 20),
    {Texts, _} = drain(Config),
    Numbers = [binary_to_integer(Text) || Text <- Texts, Text =/= <<"fill">>],
    ?assertEqual(lists:seq(1, 20), lists:sort(Numbers)),
    %% The first four of the line have a thread each, and race. Nobody comes before them.
    [?assert(Number =< Place + 3) || {Number, Place} <- lists:zip(Numbers, lists:seq(1, 20))],
    [
        receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual({mailbox, {messages, []}}, Reason) end
     || {_, Monitor} <- Loggers
    ].

%% Those who are killed hold up nobody, wherever they stood.
killed_in_line(Config) ->
    Loggers = in_line(Config, 20),
    {Even, Odd} = lists:partition(fun({N, _}) -> N rem 2 =:= 0 end, lists:zip(lists:seq(1, 20), Loggers)),
    [exit(Pid, kill) || {_, {Pid, _}} <- Even],
    [receive {'DOWN', Monitor, _, _, killed} -> ok end || {_, {_, Monitor}} <- Even],
    {Texts, _} = drain(Config),
    [?assert(lists:member(integer_to_binary(N), Texts)) || {N, _} <- Odd],
    [receive {'DOWN', Monitor, _, _, {mailbox, {messages, []}}} -> ok end || {_, {_, Monitor}} <- Odd],
    ?assert(log("after") < 100),
    ?assertEqual({[<<"after">>], []}, drain(Config)).

drops_after_the_bound(Config) ->
    journald:add(recorder(Config), #{send_timeout => 300}),
    Before = os:system_time(microsecond),
    Filled = fill(),
    Millis = log("dropped"),
    After = os:system_time(microsecond),
    ?assert(Millis >= 300 andalso Millis < 1000),
    {Texts, Reports} = drain(Config),
    ?assertEqual(Filled, length(Texts)),
    ?assertEqual(2, dropped(Reports)),
    %% One report, unless the second line was dropped just while the first was told.
    ?assert(length(Reports) =< 2),
    [Report | _] = Reports,
    ?assertEqual(<<"4">>, value(<<"PRIORITY">>, Report)),
    ?assertEqual(<<"erl">>, value(<<"SYSLOG_IDENTIFIER">>, Report)),
    From = time(<<"DROPPED_FROM">>, Report),
    To = time(<<"DROPPED_TO">>, lists:last(Reports)),
    ?assert(Before =< From andalso From < To andalso To =< After),
    ?assertMatch({match, _}, re:run(value(<<"MESSAGE">>, Report), "^systemd: [12] log lines from .* to .* were dropped")),
    %% That was it.
    log("after"),
    ?assertEqual({[<<"after">>], []}, drain(Config)),
    ?assertEqual([], stderr:lines()).

time(Name, Report) ->
    calendar:rfc3339_to_system_time(binary_to_list(value(Name, Report)), [{unit, microsecond}]).

%% From many processes, while the journal comes and goes: what arrives and what is told is all.
counts_every_line(Config) ->
    journald:add(recorder(Config), #{send_timeout => 20}),
    Loggers = [
        spawn_monitor(fun() -> [logger:notice("~b", [N]) || _ <- lists:seq(1, 20)] end)
     || N <- lists:seq(1, 50)
    ],
    Early = [Entry || _ <- lists:seq(1, 40), Entry <- [slowly(Config)], Entry =/= nothing],
    [receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Loggers],
    {Texts, Late} = drain(Config),
    {EarlyReports, EarlyLines} = lists:partition(fun(Entry) -> value(<<"N_DROPPED">>, Entry) =/= undefined end, Early),
    Dropped = dropped(EarlyReports ++ Late),
    io:format(user, "~n1000 lines, ~b dropped, told of in ~b reports~n", [Dropped, length(EarlyReports ++ Late)]),
    ?assert(Dropped > 0),
    ?assertEqual(1000, length(EarlyLines) + length(Texts) + Dropped).

slowly(Config) ->
    timer:sleep(5),
    journald:next(recorder(Config), 100).

nobody_is_blocked(Config) ->
    journald:add(recorder(Config), #{send_timeout => 1000}),
    Filled = fill(),
    Self = self(),
    Meter = spawn_link(fun() -> lateness(0) end),
    Loggers = [
        spawn_monitor(fun() -> Self ! {calls, [log("x") || _ <- lists:seq(1, 3)]} end)
     || _ <- lists:seq(1, 100)
    ],
    [receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Loggers],
    Calls = lists:append([receive {calls, List} -> List end || _ <- Loggers]),
    Meter ! {report, self()},
    Late = receive {lateness, Lateness} -> Lateness end,
    io:format(user, "~nqueue full, 300 lines of 100 processes: longest call ~b ms (bound 1000 ms); meanwhile a timer "
        "was late by ~b ms at worst~n", [lists:max(Calls), Late]),
    ?assert(lists:max(Calls) < 1500),
    ?assert(Late < 500),
    {Texts, Reports} = drain(Config),
    ?assertEqual({Filled, 301}, {length(Texts), dropped(Reports)}).

lateness(Worst) ->
    receive {report, To} -> To ! {lateness, Worst}
    after 0 ->
        Sleep = millis(fun() -> timer:sleep(5) end),
        lateness(max(Worst, Sleep - 5))
    end.

a_bound_of_zero(Config) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    Millis = millis(fun() -> [logger:notice("x") || _ <- lists:seq(1, 1000)] end),
    ?assert(Millis < 1000),
    {Texts, Reports} = drain(Config),
    ?assertEqual(1000, length(Texts) + dropped(Reports)).

%% Whatever the metadata holds, the handler stays, and an entry counts the drops.
odd_times(Config) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    Filled = fill(),
    Times = [1 bsl 70, -(1 bsl 62), 1 bsl 62, x, erlang:monotonic_time()],
    alone(fun() -> [logger:notice("x", #{time => Time}) || Time <- Times] end),
    ?assertMatch({ok, _}, logger:get_handler_config(journal)),
    {Texts, Reports} = drain(Config),
    ?assertEqual(Filled + 1 + length(Times), length(Texts) + dropped(Reports)),
    ?assertEqual([], stderr:lines()).

%% OTP's own handlers don't bear such events.
alone(Fun) ->
    Others = [{Id, Level} || #{id := Id, level := Level} <- logger:get_handler_config(), Id =/= journal],
    [ok = logger:set_handler_config(Id, level, none) || {Id, _} <- Others],
    Fun(),
    [ok = logger:set_handler_config(Id, level, Level) || {Id, Level} <- Others].

a_killed_teller(Config) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    Filled = fill(),
    wait(fun() -> length(tellers()) =:= 1 end),
    [exit(Teller, kill) || Teller <- tellers()],
    wait(fun() -> tellers() =:= [] end),
    log("dropped"),
    {Texts, Reports} = drain(Config),
    ?assertEqual(Filled + 2, length(Texts) + dropped(Reports)).

back_within_the_bound(Config) ->
    journald:add(recorder(Config), #{send_timeout => 5000}),
    log("before"),
    Path = recorder:path(recorder(Config)),
    {[<<"before">>], []} = drain(Config),
    recorder:stop(recorder(Config)),
    Self = self(),
    spawn_link(fun() -> [log(integer_to_list(N)) || N <- lists:seq(1, 5)], Self ! logged end),
    receive logged -> error(too_early) after 300 -> ok end,
    Back = recorder:start(Path),
    {Texts, []} = drain([{recorder, Back}]),
    ?assertEqual([<<"1">>, <<"2">>, <<"3">>, <<"4">>, <<"5">>], Texts),
    ?assertEqual([], stderr:lines()),
    journald:remove(),
    recorder:stop(Back).

%% Lines go to standard error until it is back, and nothing is dropped.
gone_for_long(Config) ->
    journald:add(recorder(Config), #{send_timeout => 300}),
    log("before"),
    Path = recorder:path(recorder(Config)),
    {[<<"before">>], []} = drain(Config),
    recorder:stop(recorder(Config)),
    %% The first one waits, and then nobody.
    First = log("0"),
    ?assert(First >= 300 andalso First < 1000),
    ?assert(millis(fun() -> [log(integer_to_list(N)) || N <- lists:seq(1, 100)] end) < 300),
    [Why | Lines] = stderr:lines(),
    ?assertMatch({match, _}, re:run(Why, "^<3>.* at " ++ Path ++ ".*enoent")),
    ?assertEqual([lists:flatten(io_lib:format("<5>~b~n", [N])) || N <- lists:seq(0, 100)], Lines),
    Back = recorder:start(Path),
    log("after"),
    ?assertEqual({[<<"after">>], []}, drain([{recorder, Back}])),
    journald:remove(),
    recorder:stop(Back).

%% What can't be told to the journal is told on standard error, and the teller ends.
gone_with_the_handler(Config) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    _ = fill(),
    [log("lost") || _ <- lists:seq(1, 6)],
    ok = journald:remove(),
    recorder:stop(recorder(Config)),
    wait(fun() -> length(stderr:lines()) =:= 1 end),
    ?assertMatch({match, _}, re:run(stderr:lines(), "[0-9]+ log lines were dropped")),
    wait(fun() -> tellers() =:= [] end).

no_process_without_drops(Config) ->
    journald:add(recorder(Config), #{send_timeout => 0}),
    log("x"),
    ?assertEqual([], tellers()),
    _ = fill(),
    ?assertMatch([_], tellers()),
    {_, [_ | _]} = drain(Config),
    ?assertEqual([], tellers()).

tellers() ->
    Teller = {initial_call, {systemd_journal, report_drops, 2}},
    [Pid || Pid <- processes(), process_info(Pid, initial_call) =:= Teller].

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(10), wait(Fun)
    end.
