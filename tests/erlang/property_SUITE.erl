%% Any term at all, for every function that takes one.
-module(property_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

%% Debian's package of PropEr comes without its header.
-import(proper_types, [binary/0, bitstring/0, float/0, frequency/1, integer/0, list/1, oneof/1, range/2]).
-define(FORALL(Pattern, Type, Property), proper:forall(Type, fun(Pattern) -> Property end)).
-define(LET(Pattern, Type, Term), proper_types:bind(Type, fun(Pattern) -> Term end, false)).
-define(LAZY(Type), proper_types:lazy(fun() -> Type end)).

-define(COUNT, 100000).

all() -> [nifs, journal, api, api_without_systemd].

suite() -> [{timetrap, {minutes, 5}}].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    recorder:drain(Recorder),
    logger:set_module_level(systemd_log, none),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    logger:unset_module_level(systemd_log),
    recorder:stop(proplists:get_value(recorder, Config)).

%% Terms of every type, and often ones that almost fit. No new atoms: there is room for a million.
any_term() -> any_term(20).

any_term(0) ->
    frequency([
        {3, known_atom()},
        {3, integer()},
        {1, oneof([1 bsl 31, 1 bsl 32, 1 bsl 63, 1 bsl 64, -1, -(1 bsl 63), 1 bsl 200])},
        {1, float()},
        {3, binary()},
        {1, bitstring()},
        {2, [range(0, 16#110000)]},
        {1, ?LAZY(oneof([self(), make_ref(), fun any_term/0, #{}, [], {}, <<>>]))}
    ]);
any_term(Size) ->
    Part = any_term(Size div 3),
    frequency([
        {3, any_term(0)},
        {3, {state_key(), Part}},
        {2, {extend_timeout, {Part, known_atom()}}},
        {2, list(Part)},
        {1, ?LET({Head, Tail}, {Part, Part}, [Head | Tail])},
        {1, ?LET(List, list(Part), list_to_tuple(List))},
        {1, ?LET(Pairs, list({known_atom(), Part}), maps:from_list(Pairs))}
    ]).

known_atom() ->
    oneof([
        ready, stopping, reloading, restart_reset, status, true, false, infinity, undefined, nil,
        second, millisecond, native, all, main, none, '', 'A=B', 'ü', up, down, state
    ]).

state_key() ->
    oneof([
        status, errno, buserror, varlinkerror, exit_status, mainpid, notify_access,
        watchdog_usec, extend_timeout, x_key, <<"X_KEY">>, "X_KEY", binary()
    ]).

%% A result, or an error that a caller can be blamed for.
result(Fun) ->
    try Fun() of Result -> {ok, Result}
    catch
        error:badarg -> badarg;
        error:function_clause -> badarg
    end.

is_answer(badarg) -> true;
is_answer({ok, Result}) -> is_result(Result).

is_result(ok) -> true;
is_result(again) -> true;
is_result({format, Paths}) -> is_list(Paths);
is_result({Barrier, IsSent}) when is_reference(Barrier) -> is_result(systemd_wait:reply(IsSent));
is_result({Fds, Complaints}) when is_list(Fds) -> lists:all(fun is_binary/1, Complaints);
is_result({Sent, Failed, Status}) when is_integer(Sent) ->
    is_integer(Failed) andalso (Status =:= false orelse is_binary(Status));
is_result({IsReachable, Sent, Dropped}) when is_boolean(IsReachable) ->
    is_integer(Sent) andalso is_integer(Dropped);
is_result({Count, Last, From, To}) ->
    is_integer(Count) andalso is_integer(Last) andalso is_binary(From) andalso is_binary(To);
is_result(Journal) when is_reference(Journal) -> true;
is_result(Count) when is_integer(Count) -> true;
is_result(Atom) when Atom =:= undefined; Atom =:= unknown -> true;
is_result(Relation) when Relation =:= own; Relation =:= parent; Relation =:= other -> true;
is_result({ok, _}) -> true;
is_result({ok, Port, Options}) -> is_integer(Port) andalso is_list(Options);
is_result({error, Reason}) -> is_reason(Reason);
is_result(Result) -> is_boolean(Result) orelse is_binary(Result).

is_reason({invalid_state, _}) -> true;
is_reason({invalid_value, _}) -> true;
is_reason({invalid_notify_socket, _}) -> true;
is_reason({invalid_field_name, _}) -> true;
is_reason({invalid_fields, _}) -> true;
is_reason({invalid_fd_name, _}) -> true;
is_reason({no_such_fd, _}) -> true;
is_reason({unfit_fd, _}) -> true;
is_reason({closed, _}) -> true;
is_reason(Reason) -> is_atom(Reason).

check(Property) ->
    ?assert(proper:quickcheck(Property, [{numtests, ?COUNT}, {max_size, 20}, quiet])).

nifs(Config) ->
    {ok, Notifier} = systemd_nif:open(path(Config), true),
    {ok, Watchdog} = systemd_nif:watchdog_start(Notifier, [self()], 3600000000, 3600000000, 3600000000, withhold),
    {Barrier, _} = systemd_nif:barrier(Notifier, 0),
    Fifo = binary_to_list(path(Config)) ++ ".fifo",
    "" = os:cmd("mkfifo " ++ Fifo),
    {ok, Pressure} = systemd_nif:memory_pressure_start(list_to_binary(Fifo), <<>>),
    Resource = oneof([Notifier, Watchdog, Barrier, Pressure, any_term()]),
    Functions = [
        Function
     || {Name, Arity} = Function <- systemd_nif:module_info(exports),
        Arity > 0,
        not lists:member(Name, [module_info, watchdog_start, memory_pressure_start | journal_nifs()])
    ],
    io:format(user, "~n~b x ~0p~n", [?COUNT, Functions]),
    check(
        ?FORALL(
            {First, Second, Third, Millis},
            {Resource, any_term(), any_term(), oneof([0, any_term()])},
            lists:all(
                fun
                    ({notify, 3}) -> answers(notify, [First, Second, bounded(Millis)]);
                    ({barrier, 2}) -> answers(barrier, [First, bounded(Millis)]);
                    ({Name, 1}) -> answers(Name, [First]) andalso answers(Name, [Second]);
                    ({Name, 2}) -> answers(Name, [First, Second]);
                    ({clear_fds, 3}) -> answers(clear_fds, [First, Second, bounded(Millis)]);
                    ({store_term, 4}) ->
                        answers(store_term, [First, Second, Third, bounded(Millis)]);
                    ({Name, 3}) -> answers(Name, [First, Second, Third]);
                    ({listen_fds, 4}) -> answers(listen_fds, [First, Second, Third, Millis]);
                    ({store_fds, 4}) ->
                        answers(store_fds, [First, Second, Third =/= [], bounded(Millis)]);
                    ({watchdog_take_up, 5}) ->
                        answers(watchdog_take_up, [First, 1, Second, 1, Third]) andalso
                            answers(watchdog_take_up, [First, Second, [], Third, []])
                end,
                Functions
            )
        )
    ),
    %% By a thread each: fewer of them.
    ?assert(
        proper:quickcheck(
            ?FORALL(
                {First, Timeout, Interval, WarnAfter, OnHang},
                {Resource, any_term(), any_term(), any_term(), oneof([withhold, trigger, any_term()])},
                answers(watchdog_start, [First, [self()], Timeout, Interval, WarnAfter, OnHang]) andalso
                    answers(watchdog_start, [Notifier, Timeout, 1, 1, 1, OnHang]) andalso
                    answers(store_term, [Notifier, <<"property">>, Timeout, 0]) andalso
                    answers(clear_fds, [Notifier, <<"property">>, 0]) andalso
                    answers(store_fds, [Notifier, [{Timeout, Interval}], true, 0]) andalso
                    answers(store_fds, [Notifier, [{0, Timeout}, Interval], true, 0]) andalso
                    answers(clear_fds, [Notifier, [Timeout], 0]) andalso
                    answers(memory_pressure_start, [Timeout, Interval]) andalso
                    answers(memory_pressure_start, [list_to_binary(Fifo), to_binary(WarnAfter)]) andalso
                    answers(watchdog_start, [
                        Notifier, [] | [abs_or_term(Usec) || Usec <- [Timeout, Interval, WarnAfter]] ++ [OnHang]
                    ])
            ),
            [{numtests, 1000}, quiet]
        )
    ),
    ok = file:delete(Fifo).

to_binary(Term) when is_binary(Term) -> Term;
to_binary(_) -> <<>>.

path(Config) -> list_to_binary(recorder:path(proplists:get_value(recorder, Config))).

journal(Config) ->
    {ok, Sink} = systemd_nif:journal_sink(path(Config), fields(), all, none),
    check(
        ?FORALL(
            {First, Level, Metadata, Message, More},
            ?LET(
                {Term, Other},
                {any_term(), any_term()},
                {
                    oneof([Sink, Sink, Sink, Term]),
                    oneof([info, info, info, Other]),
                    oneof([#{a => Term, b => Other, <<"k">> => Term, time => Other, Other => Term}, Term]),
                    Term,
                    Other
                }
            ),
            lists:all(
                fun({Name, Args}) -> answers(Name, Args) end,
                [
                    {journal_sink, [Message, [{Level, Message}, More], Metadata, First]},
                    {journal_sink, [path(Config), [{<<"A">>, Message}], [a, More], First]},
                    {journal_sink, [path(Config), fields(), Metadata, Message]},
                    {journal_missing, [First]},
                    {journal_log, [First, {Level, Metadata, Message, More}, [], bounded(Level)]},
                    {journal_log, [Sink, {info, #{a => Message}, <<"text">>, []}, More, 0]},
                    {journal_log, [Sink, Message, More, 0]},
                    {journal_log_large, [First, {Level, Metadata, Message, More}, [], 0]},
                    {journal_log_large, [Sink, {info, #{a => Message}, More, []}, More, bounded(Level)]},
                    {journal_drop, [First, Message]},
                    {journal_dropped, [First]},
                    {journal_teller, [First]},
                    {journal_info, [First]},
                    {journal_told, [First, Message, More]},
                    {is_journal, [Message, More]}
                ]
            )
        )
    ).

journal_nifs() ->
    [
        Name
     || {Name, _} <- systemd_nif:module_info(exports),
        lists:prefix("journal_", atom_to_list(Name))
    ].

fields() -> [{<<"L">>, level}, {<<"PRIORITY">>, priority}, {<<"T">>, time}, {<<"A">>, [a]}, {<<"B">>, [a, b]}].

%% Some of the random timeouts are real, and long.
bounded(Millis) when is_integer(Millis), Millis > 0 -> 0;
bounded(Millis) -> Millis.

abs_or_term(Term) when is_integer(Term) -> abs(Term);
abs_or_term(Term) -> Term.

answers(Name, Args) -> is_answer(result(fun() -> systemd_wait:reply(apply(systemd_nif, Name, Args)) end)).

api(Config) ->
    os:putenv("NOTIFY_SOCKET", recorder:path(proplists:get_value(recorder, Config))),
    ok = application:start(systemd),
    check(?FORALL(Term, any_term(), calls(Term) andalso is_answer(result(fun() -> systemd:notify(Term) end)))).

api_without_systemd(_) ->
    ok = application:start(systemd),
    check(?FORALL(Term, any_term(), calls(Term) andalso systemd:notify(Term) =:= ok)).

calls(Term) ->
    is_map(systemd:ready(Term)) andalso
        ignore =:= systemd_status:ready_link(Term) andalso
        is_map(systemd:set_status(Term)) andalso
        up_and_down(Term) andalso
        is_answer(result(fun() -> systemd:barrier(not_long(Term)) end)) andalso
        watchdog(Term) andalso
        no_check(Term) andalso
        %% An empty list is no bad input, and would restart this VM.
        (Term =:= [] orelse is_answer(result(fun() -> systemd:reload(Term) end))) andalso
        is_answer(result(fun() -> systemd:unset_env(Term) end)) andalso
        is_answer(result(fun() -> systemd:listen_opts(Term) end)) andalso
        is_answer(result(fun() -> systemd:listen_opts(Term, 80) end)) andalso
        is_answer(result(fun() -> systemd:listen_opts(Term, Term) end)) andalso
        %% A number would be a socket of this VM.
        (is_integer(Term) orelse is_answer(result(fun() -> systemd:listen_socket(Term) end))) andalso
        is_answer(result(fun() -> systemd:listen_info(Term) end)) andalso
        is_answer(result(fun() -> systemd:store_fds(Term) end)) andalso
        is_answer(result(fun() -> systemd:store_fds([{0, Term}, Term], [{poll, true}]) end)) andalso
        is_answer(result(fun() -> systemd:store_term(Term, Term) end)) andalso
        is_answer(result(fun() -> systemd:fetch_term(Term) end)) andalso
        is_answer(result(fun() -> systemd:clear_fds([Term]) end)) andalso
        is_answer(result(fun() -> systemd:clear_fds(Term) end)) andalso
        is_answer(result(fun() -> systemd:credentials(Term) end)) andalso
        is_answer(result(fun() -> systemd:read_credential(Term) end)).

not_long(Term) when is_integer(Term), Term > 0; Term =:= infinity -> 0;
not_long(Term) -> Term.

watchdog(Term) ->
    case result(fun() -> systemd:watchdog(Term) end) of
        {ok, Millis} when is_integer(Millis) -> true;
        Answer -> is_answer(Answer)
    end.

%% What is one could run anything.
no_check(Term) ->
    systemd_check:is_check(Term) orelse
        case systemd_check_run:run(systemd_check_run:prepare([Term]), none, fun(_) -> ok end) of
            {failed, _, Text, Log} -> is_list(unicode:characters_to_list([Text, Log]));
            _ -> false
        end.

up_and_down(Term) ->
    #{start := {Module, Function, Args}} = systemd:set_status(Term),
    {ok, Pid} = apply(Module, Function, Args),
    unlink(Pid),
    gen_server:stop(Pid) =:= ok.
