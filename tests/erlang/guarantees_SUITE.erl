%% docs/guarantees.md is true: what each call of its table returns when something is wrong, and that the tests
%% that it names exist.
-module(guarantees_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

%% In milliseconds: what a call may take that waits, and one that doesn't.
-define(BOUND, 2500).
-define(AT_ONCE, 500).

all() -> [queue_full, nobody_listens, library_missing, not_under_systemd, named_tests_exist].

suite() -> [{timetrap, {minutes, 2}}].

init_per_testcase(_, Config) ->
    log_counter:start(),
    Config.

end_per_testcase(_, _) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC"]],
    log_counter:stop().

queue_full(_) ->
    under_a_manager(fun(Recorder) ->
        recorder:fill(Recorder),
        returns("queue full", ?BOUND)
    end).

nobody_listens(_) ->
    under_a_manager(fun(Recorder) ->
        recorder:stop(Recorder),
        returns("nobody listens", ?AT_ONCE)
    end).

library_missing(_) ->
    persistent_term:put(systemd_nif, "gone"),
    try under_a_manager(fun(_) -> returns("library missing", ?AT_ONCE) end)
    after
        persistent_term:put(systemd_nif, loaded)
    end.

not_under_systemd(_) ->
    ok = application:start(systemd),
    returns("no systemd", ?AT_ONCE).

under_a_manager(Fun) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "60000000"),
    ok = application:start(systemd),
    try Fun(Recorder)
    after
        recorder:stop(Recorder)
    end.

%% All at once, so that they are in each other's way.
returns(Fault, Bound) ->
    [Head | Rows] = table(),
    Column = length(lists:takewhile(fun(Cell) -> Cell =/= Fault end, Head)) + 1,
    ?assert(length(Rows) > 10),
    Self = self(),
    Running = [
        spawn_monitor(fun() -> Self ! {self(), timer:tc(fun() -> term(Call) end)} end)
     || [Call | _] <- Rows
    ],
    Returned = [
        receive
            {Pid, {Micros, Result}} -> {Result, Micros div 1000 =< Bound};
            {'DOWN', Monitor, process, Pid, Reason} when Reason =/= normal -> Reason
        end
     || {Pid, Monitor} <- Running
    ],
    [
        ?assertEqual({Call, {term(lists:nth(Column, Row)), true}}, {Call, Result})
     || {[Call | _] = Row, Result} <- lists:zip(Rows, Returned)
    ],
    %% What goes wrong is logged, and once.
    Messages = log_counter:messages(),
    ?assertEqual(lists:sort(Messages), lists:usort(Messages)),
    [?assertNotEqual([], Messages) || Fault =/= "no systemd"].

%% What Erlang makes of an expression.
term(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text ++ "."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Expressions, []),
    Value.

%% The rows that begin with a call, and the one above them, without the marks of code.
table() ->
    Lines = string:split(document(), "\n", all),
    Rows = [
        [string:trim(Cell, both, " `") || Cell <- string:split(string:trim(Line, both, "| "), " | ", all)]
     || "| " ++ _ = Line <- Lines
    ],
    Head = [Row || ["call" | _] = Row <- Rows],
    Head ++ [Row || [Call | _] = Row <- Rows, string:find(Call, "systemd:") =/= nomatch].

document() ->
    {ok, Bytes} = file:read_file(filename:join(project(), "docs/guarantees.md")),
    unicode:characters_to_list(Bytes).

project() -> filename:join(filename:dirname(?FILE), "../..").

%% `name_SUITE:case', and `name_test.exs': "test".
named_tests_exist(_) ->
    Text = document(),
    Cases = matches(Text, "`(\\w+_SUITE):(\\w+)`"),
    Live = matches(Text, "`(\\w+_test\\.exs)`[^\"`]*\"([^\"]+)\""),
    ?assert(length(Cases) > 10 andalso length(Live) > 5),
    [
        ?assertEqual({Suite, Case, true}, {Suite, Case, lists:member(list_to_atom(Case), cases(list_to_atom(Suite)))})
     || [Suite, Case] <- Cases
    ],
    [
        begin
            {ok, Source} = file:read_file(filename:join([project(), "tests/live", File])),
            ?assertNotEqual({File, Test, nomatch}, {File, Test, string:find(Source, "test \"" ++ Test)})
        end
     || [File, Test] <- Live
    ].

%% Also those of groups.
cases(Suite) ->
    Groups = case lists:member({groups, 0}, Suite:module_info(exports)) of true -> Suite:groups(); false -> [] end,
    Suite:all() ++ lists:append([Cases || {_, Cases} <- Groups] ++ [Cases || {_, _, Cases} <- Groups]).

matches(Text, Pattern) ->
    case re:run(Text, Pattern, [global, unicode, {capture, all_but_first, list}]) of
        {match, Matches} -> Matches;
        nomatch -> []
    end.
