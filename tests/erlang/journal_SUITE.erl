%% systemd_journal_h: what an event becomes, byte for byte.
-module(journal_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").
-include_lib("kernel/include/logger.hrl").

-import(journald, [value/2]).

all() ->
    [
        exact_bytes, default_fields, special_fields, values, compound_values, paths_and_all, metadata_all,
        metadata_scalars, more_fields_than_journald_takes,
        metadata_keys, message_id, names_are_made_valid, odd_functions, names_that_are_taken, unicode_and_bytes,
        lines, large_messages, map_report, report_cb, report_cb_with_prefix, crash_of_gen_server,
        crash_of_process, crash_of_child, crash_reason_of_elixir, own_formatter, strings_as_its_formatter_has_them, formatter_raises,
        formatter_returns_nonsense, report_cb_fails, invalid_configuration, no_journald, nobody_reads_standard_error, library_missing,
        add_handlers, many_keys, changes_of_configuration, configuration_as_given, of_kernel
    ].

init_per_testcase(_, Config) ->
    stderr:start(),
    logger:set_primary_config(level, all),
    [{recorder, recorder:start()} | Config].

end_per_testcase(_, Config) ->
    _ = journald:remove(),
    logger:set_primary_config(level, notice),
    stderr:stop(),
    recorder:stop(recorder(Config)).

recorder(Config) -> proplists:get_value(recorder, Config).

%% The entry that an event becomes, with these fields configured.
logged(Fields, Meta, Config) -> logged(#{fields => Fields}, info, "text", Meta, Config).

logged(HandlerConfig, Level, Message, Meta, Config) ->
    journald:add(recorder(Config), HandlerConfig),
    case Message of
        _ when is_map(Message) -> logger:log(Level, Message, Meta);
        _ -> logger:log(Level, "~ts", [Message], Meta)
    end,
    Entry = journald:next(recorder(Config)),
    ok = journald:remove(),
    Entry.

exact_bytes(Config) ->
    journald:add(recorder(Config), #{fields => [priority, {"A", a}, {"B", <<"b">>}]}),
    logger:warning("one\ntwo", #{a => "1\n2"}),
    ?assertEqual(
        <<"MESSAGE\n", 7:64/little, "one\ntwo\nPRIORITY=4\nA\n", 3:64/little, "1\n2\nB=b\n">>,
        recorder:next(recorder(Config))
    ).

default_fields(Config) ->
    journald:add(recorder(Config)),
    ?LOG_NOTICE("hello"),
    Entry = journald:next(recorder(Config)),
    Pid = list_to_binary(os:getpid()),
    Process = list_to_binary(pid_to_list(self())),
    ?assertMatch(
        [
            {<<"MESSAGE">>, <<"hello">>},
            {<<"SYSLOG_TIMESTAMP">>, _},
            {<<"SYSLOG_PID">>, Pid},
            {<<"SYSLOG_IDENTIFIER">>, <<"erl">>},
            {<<"PRIORITY">>, <<"5">>},
            {<<"ERL_PID">>, Process},
            {<<"CODE_FILE">>, _},
            {<<"CODE_LINE">>, _},
            {<<"CODE_MFA">>, <<"journal_SUITE:default_fields/1">>}
        ],
        Entry
    ),
    ?assertEqual("journal_SUITE.erl", filename:basename(binary_to_list(value(<<"CODE_FILE">>, Entry)))),
    Now = os:system_time(microsecond),
    Time = calendar:rfc3339_to_system_time(
        binary_to_list(value(<<"SYSLOG_TIMESTAMP">>, Entry)), [{unit, microsecond}]
    ),
    ?assert(Time =< Now andalso Time > Now - 5000000).

special_fields(Config) ->
    Entry = logged(
        [
            level, priority, os_pid, mfa, time, script_id, syslog_pid, syslog_timestamp,
            syslog_identifier, {"MY_LEVEL", level}, {"MY_TIME", time}, {"MY_PID", os_pid}
        ],
        #{mfa => {m, f, 2}, time => 1795516652731929},
        Config
    ),
    Pid = list_to_binary(os:getpid()),
    Script = "Erlang/OTP " ++ erlang:system_info(otp_release),
    ?assertEqual(
        [
            {<<"MESSAGE">>, <<"text">>},
            {<<"LEVEL">>, <<"info">>},
            {<<"PRIORITY">>, <<"6">>},
            {<<"OS_PID">>, Pid},
            {<<"MFA">>, <<"m:f/2">>},
            {<<"TIME">>, <<"2026-11-24T10:37:32.731929Z">>},
            {<<"SCRIPT_ID">>, list_to_binary(Script)},
            {<<"SYSLOG_PID">>, Pid},
            {<<"SYSLOG_TIMESTAMP">>, <<"2026-11-24T10:37:32.731929Z">>},
            {<<"SYSLOG_IDENTIFIER">>, <<"erl">>},
            {<<"MY_LEVEL">>, <<"info">>},
            {<<"MY_TIME">>, <<"2026-11-24T10:37:32.731929Z">>},
            {<<"MY_PID">>, Pid}
        ],
        Entry
    ).

values(Config) ->
    Reference = make_ref(),
    Port = hd(erlang:ports()),
    Fun = fun() -> ok end,
    [
        ?assertEqual(
            {Value, [{<<"MESSAGE">>, <<"text">>} | [{<<"K">>, Text} || Text =/= none]]},
            {Value, logged([{"K", k}], #{k => Value}, Config)}
        )
     || {Value, Text} <- [
            {<<"binary">>, <<"binary">>},
            {"string", <<"string">>},
            {["io", <<"list">>, $s, [[]]], <<"[\"io\",<<\"list\">>,115,[[]]]">>},
            {an_atom, <<"an_atom">>},
            {'Elixir.My.Module', <<"My.Module">>},
            {true, <<"true">>},
            {7, <<"7">>},
            {-(1 bsl 63), <<"-9223372036854775808">>},
            {1.5, <<"1.5">>},
            {self(), list_to_binary(pid_to_list(self()))},
            {Reference, list_to_binary(ref_to_list(Reference))},
            {Port, list_to_binary(port_to_list(Port))},
            {Fun, list_to_binary(erlang:fun_to_list(Fun))},
            {[otp, sasl], <<"[otp,sasl]">>},
            {undefined, none},
            {nil, none},
            {"", <<"[]">>},
            {<<>>, none},
            %% What looks like text and is none, and the other way round.
            {[1, 2, 3], <<"[1,2,3]">>},
            {[1000], <<"Ϩ"/utf8>>},
            {<<0>>, <<"<<0>>">>},
            {<<1, 2>>, <<"<<1,2>>">>},
            {<<255>>, <<"<<\"ÿ\">>"/utf8>>},
            {[16#D800], <<"[55296]">>},
            {"tab\tand\nline\e[0m", <<"tab\tand\nline\e[0m">>},
            {<<"tab\tand\nline\e[0m ü">>, <<"<<\"tab\\tand\\nline\\e[0m ü\">>"/utf8>>},
            {<<"tab\tand\nline\e[0m ü"/utf8>>, <<"tab\tand\nline\e[0m ü"/utf8>>},
            {<<16#85/utf8>>, <<"<<194,133>>">>},
            {[<<"a">>, <<"b">>], <<"[<<\"a\">>,<<\"b\">>]">>}
        ]
    ],
    [
        ?assertEqual([{<<"MESSAGE">>, <<"text">>}, {<<"MFA">>, Text}], logged([mfa], #{mfa => Mfa}, Config))
     || {Mfa, Text} <- [{{m, f, 2}, <<"m:f/2">>}, {{'Elixir.My.Module', run, 2}, <<"My.Module.run/2">>}]
    ],
    %% Nested maps, an atom as the name, literals.
    ?assertEqual(
        [
            {<<"MESSAGE">>, <<"text">>},
            {<<"PATH">>, <<"7">>},
            {<<"K">>, <<"v">>},
            {<<"NAMED">>, <<"v">>},
            {<<"LITERAL">>, <<"lit">>}
        ],
        logged(
            [{"PATH", [a, b]}, k, {named, k}, {"LITERAL", "lit"}, {"EMPTY", ""}, {"MISSING", [a, c]}, missing],
            #{a => #{b => 7}, k => v},
            Config
        )
    ).

compound_values(Config) ->
    [
        ?assertEqual(
            {Value, [{<<"MESSAGE">>, <<"text">>}, {<<"K">>, Text}, {<<"N">>, Text}, {<<"L">>, <<"6">>}]},
            {Value, logged([{"K", k}, {"N", [n, n]}, {"L", l}], #{k => Value, n => #{n => Value}, l => 6}, Config)}
        )
     || {Value, Text} <- [
            {{m, f, 2}, <<"{m,f,2}">>},
            {'кл', <<"кл"/utf8>>},
            {{1, two, "3"}, <<"{1,two,\"3\"}">>},
            {#{a => <<"b">>}, <<"#{a => <<\"b\">>}">>},
            {1 bsl 100, <<"1267650600228229401496703205376">>},
            {[a | b], <<"[a|b]">>},
            {[a, 1], <<"[a,1]">>},
            {[{a, 1}], <<"[{a,1}]">>},
            {["a" | b], <<"[\"a\"|b]">>},
            {<<1:3>>, <<"<<1:3>>">>},
            {[-1], <<"[-1]">>},
            {#{'__struct__' => 'Elixir.Nobody'}, <<"#{'__struct__' => 'Elixir.Nobody'}">>}
        ]
    ].

%% Only what is no compound term, unless its key is listed.
metadata_scalars(Config) ->
    Meta = #{
        number => 1, float => 1.5, large => 1 bsl 70, atom => 'кл', process => self(), string => "x", binary => <<"y">>,
        reference => make_ref(), mfa => {m, f, 1}, initial_call => {m, g, 2}, domain => [my, app],
        map => #{a => 1}, tuple => {a}, list => [a], strings => ["a"], bytes => <<255>>, bits => <<1:3>>, improper => [$a | $b],
        empty => [], conn => #{'__struct__' => 'Elixir.Conn'}, function => fun() -> ok end
    },
    Names = fun(Metadata) ->
        [Name || {Name, _} <- logged(#{fields => [], metadata => Metadata}, info, "text", Meta, Config)]
    end,
    Scalars = [
        <<"ATOM">>, <<"BINARY">>, <<"DOMAIN">>, <<"FLOAT">>, <<"INITIAL_CALL">>, <<"LARGE">>, <<"MESSAGE">>, <<"MFA">>,
        <<"NUMBER">>, <<"PID">>, <<"PROCESS">>, <<"REFERENCE">>, <<"STRING">>
    ],
    ?assertEqual(Scalars, lists:sort(Names(scalars))),
    Compound = [map, tuple, list, strings, bytes, bits, improper, empty, conn, function],
    ?assertEqual(lists:sort([<<"MESSAGE">> | [string:uppercase(atom_to_binary(Key)) || Key <- Compound]]), lists:sort(Names(Compound))),
    ?assertEqual(length(Scalars) + length(Compound), length(Names(all))),
    Entry = logged(#{fields => [{"MAP", map}], metadata => scalars}, info, "text", Meta, Config),
    ?assertEqual(<<"#{a => 1}">>, value(<<"MAP">>, Entry)),
    ?assertEqual(<<"my.app">>, value(<<"DOMAIN">>, Entry)),
    ?assertEqual(<<"m:g/2">>, value(<<"INITIAL_CALL">>, Entry)).

%% journald ignores an entry of more than 1,024 fields, its own included.
more_fields_than_journald_takes(Config) ->
    Keys = [{list_to_atom("key" ++ integer_to_list(N)), N} || N <- lists:seq(1, 1020)],
    Report = maps:from_list(Keys),
    recorder:buffer(recorder(Config), 1 bsl 18),
    [
        begin
            Entry = logged(Handler, error, Message, Meta, Config),
            ?assertEqual(961, length(Entry)),
            ?assertMatch(<<_, _/binary>>, value(<<"MESSAGE">>, Entry)),
            ?assertEqual(<<"3">>, value(<<"PRIORITY">>, Entry)),
            Left = length([Name || {<<"KEY", _/binary>> = Name, _} <- Entry]),
            ?assertEqual({<<"N_FIELDS_DROPPED">>, integer_to_binary(1020 - Left)}, lists:last(Entry))
        end
     || {Handler, Message, Meta} <- [
            {#{report_cb => fun maps:to_list/1}, Report, #{}},
            {#{metadata => all}, "text", Report},
            {#{metadata => scalars}, "text", Report}
        ]
    ],
    %% What a crash is made of is not what is left out.
    Crash = logged(#{metadata => scalars}, error, "text", Report#{crash_reason => {oops, [{m, f, 1, []}]}}, Config),
    ?assertEqual(<<"oops">>, value(<<"CRASH_REASON">>, Crash)).

%% The way through a map, and the map itself.
paths_and_all(Config) ->
    Meta = #{user => #{id => 7, tuple => {a, b}}},
    Entry = logged(#{fields => [{"USER_ID", [user, id]}, {"USER_TUPLE", [user, tuple]}], metadata => all}, info, "text", Meta, Config),
    ?assertEqual(<<"7">>, value(<<"USER_ID">>, Entry)),
    ?assertEqual(<<"{a,b}">>, value(<<"USER_TUPLE">>, Entry)),
    ?assertEqual(<<"#{id => 7,tuple => {a,b}}">>, value(<<"USER">>, Entry)).

metadata_all(Config) ->
    Meta = #{
        request_id => <<"F8fjX2">>,
        user => {id, 7},
        nothing => nil,
        domain => [my, app],
        report_cb => fun(_) -> {"x", []} end,
        crash_reason => {x, []}
    },
    Entry = logged(#{metadata => all, fields => [{"CODE_MFA", mfa}, {"ERL_PID", pid}]}, info, "text", Meta#{mfa => {m, f, 0}}, Config),
    ?assertEqual(
        [
            {<<"CODE_MFA">>, <<"m:f/0">>},
            {<<"DOMAIN">>, <<"my.app">>},
            {<<"ERL_PID">>, list_to_binary(pid_to_list(self()))},
            {<<"MESSAGE">>, <<"text">>},
            {<<"REQUEST_ID">>, <<"F8fjX2">>},
            {<<"USER">>, <<"{id,7}">>}
        ],
        lists:sort(Entry)
    ).

metadata_keys(Config) ->
    ?assertEqual(
        [{<<"MESSAGE">>, <<"text">>}, {<<"RID">>, <<"x">>}, {<<"USER">>, <<"me">>}, {<<"A_B">>, <<"2">>}],
        logged(
            #{fields => [{"RID", request_id}], metadata => [user, request_id, absent, 'a.b']},
            info, "text", #{request_id => "x", user => me, other => 1, 'a.b' => 2}, Config
        )
    ).

message_id(Config) ->
    Id = <<"fc2e22bc6ee647b6b90729ab34a250b1">>,
    ?assertEqual(Id, value(<<"MESSAGE_ID">>, logged(#{}, info, "text", #{message_id => Id}, Config))).

names_are_made_valid(Config) ->
    Long = list_to_atom(lists:duplicate(100, $a)),
    Entry = logged(
        #{fields => [], metadata => all}, info, "text",
        #{'кл' => 7, 'http.status-code' => 1, '_private' => 2, '2fa' => 3, 'ü=\n' => 4, Long => 5, <<"binary">> => 6},
        Config
    ),
    [
        ?assertEqual(Value, value(Name, Entry))
     || {Name, Value} <- [
            {<<"HTTP_STATUS_CODE">>, <<"1">>},
            {<<"X_PRIVATE">>, <<"2">>},
            {<<"X2FA">>, <<"3">>},
            {<<"X____">>, <<"4">>},
            {binary:copy(<<"A">>, 64), <<"5">>},
            {<<"BINARY">>, <<"6">>}
        ]
    ],
    %% A key that is neither an atom nor text has no name.
    ?assertEqual(
        [{<<"MESSAGE">>, <<"text">>}, {<<"A">>, <<"1">>}],
        logged(#{fields => [], metadata => all}, info, "text", #{a => 1, pid => nil, #{b => c} => 2, 7 => 3, {d} => 4}, Config)
    ).

%% Whatever stands in the place of a function, the line is sent.
odd_functions(Config) ->
    [
        ?assertEqual(<<"text">>, value(<<"MESSAGE">>, logged(#{metadata => all}, error, "text", #{mfa => Odd, a => {b}}, Config)))
     || Odd <- [{<<"m">>, f, 1}, {m, f}, m, {m, f, args}, {m, <<"f">>, 1}]
    ].

names_that_are_taken(Config) ->
    Report = #{message => "other", priority => 0},
    Reported = logged(#{report_cb => fun maps:to_list/1}, info, Report, #{}, Config),
    ?assertEqual([<<"6">>], proplists:get_all_values(<<"PRIORITY">>, Reported)),
    ?assertEqual([<<"0">>, <<"other">>], [value(Name, Reported) || Name <- [<<"X_PRIORITY">>, <<"X_MESSAGE">>]]),
    Entry = logged(#{metadata => all}, info, "text", #{message => 1, priority => high, 'CODE_FILE' => x}, Config),
    ?assertEqual([<<"text">>], proplists:get_all_values(<<"MESSAGE">>, Entry)),
    ?assertEqual([<<"6">>], proplists:get_all_values(<<"PRIORITY">>, Entry)),
    [
        ?assertEqual(Value, value(Name, Entry))
     || {Name, Value} <- [{<<"X_MESSAGE">>, <<"1">>}, {<<"X_PRIORITY">>, <<"high">>}, {<<"X_CODE_FILE">>, <<"x">>}]
    ].

unicode_and_bytes(Config) ->
    [
        ?assertEqual({Given, Expected}, {Given, value(<<"MESSAGE">>, logged(#{}, info, Given, #{}, Config))})
     || {Given, Expected} <- [
            {"grüezi 🌍", <<"grüezi 🌍"/utf8>>},
            {<<"grüezi 🌍"/utf8>>, <<"grüezi 🌍"/utf8>>},
            {"a\0b", <<"a\0b">>}
        ]
    ].

lines(Config) ->
    [
        ?assertEqual({Given, Expected}, {Given, value(<<"MESSAGE">>, logged(#{}, info, Given, #{}, Config))})
     || {Given, Expected} <- [
            {"one\ntwo", <<"one\ntwo">>},
            {"one\n\ntwo\n\n", <<"one\n\ntwo">>},
            {"\n", <<>>},
            {"MESSAGE=x\nPRIORITY=0", <<"MESSAGE=x\nPRIORITY=0">>}
        ]
    ].

%% Up to the datagram's size. What is above goes by memfd: see the live tests.
large_messages(Config) ->
    recorder:buffer(recorder(Config), 1 bsl 18),
    [
        ?assertEqual(Message, value(<<"MESSAGE">>, logged(#{}, info, Message, #{}, Config)))
     || Size <- [60000, 70000, 150000], Message <- [binary:copy(<<"a">>, Size)]
    ],
    Chars = lists:duplicate(50000, $ü),
    ?assertEqual(unicode:characters_to_binary(Chars), value(<<"MESSAGE">>, logged(#{}, info, Chars, #{}, Config))),
    Large = binary:copy(<<"m">>, 100000),
    ?assertEqual([{<<"MESSAGE">>, <<"text">>}, {<<"K">>, Large}], logged([k], #{k => Large}, Config)).

map_report(Config) ->
    Message = value(<<"MESSAGE">>, logged(#{}, info, #{user => me, action => login}, #{}, Config)),
    ?assertEqual([<<"    action: login">>, <<"    user: me">>], lists:sort(binary:split(Message, <<"\n">>, [global]))).

report_cb(Config) ->
    ?assertEqual(
        [{<<"MESSAGE">>, <<"    tuple: {1,2}\n    user_id: 7">>}, {<<"TUPLE">>, <<"{1,2}">>}, {<<"USER_ID">>, <<"7">>}],
        logged(#{fields => [], report_cb => fun maps:to_list/1}, info, #{user_id => 7, tuple => {1, 2}}, #{}, Config)
    ).

report_cb_with_prefix(Config) ->
    Callback = fun(Prefix, #{user := User}) -> [{[Prefix, "_USER"], io_lib:format("~p", [User])}] end,
    ?assertEqual(
        [{<<"MESSAGE">>, <<"    user: 7">>}, {<<"REPORT_USER">>, <<"7">>}],
        logged(#{fields => [], report_cb => Callback}, info, #{user => 7}, #{}, Config)
    ).

%% The entries of a crash, by the labels of OTP's reports.
crash(Config, Crash) ->
    journald:add(recorder(Config)),
    Crash(),
    entries(Config).

entries(Config) ->
    case journald:next(recorder(Config), 300) of
        nothing -> [];
        Entry -> [Entry | entries(Config)]
    end.

crash_of_gen_server(Config) ->
    Entries = crash(Config, fun() ->
        {ok, Pid} = gen_server:start({local, crasher}, crasher, [], []),
        Monitor = monitor(process, Pid),
        gen_server:cast(Pid, {divide, 0}),
        receive {'DOWN', Monitor, _, _, _} -> ok end
    end),
    [Server] = [Entry || Entry <- Entries, string:prefix(value(<<"MESSAGE">>, Entry), "** Generic server") =/= nomatch],
    ?assertEqual(<<"3">>, value(<<"PRIORITY">>, Server)),
    ?assertEqual(<<"crasher">>, value(<<"CRASH_PROCESS">>, Server)),
    ?assertEqual(<<"badarith">>, value(<<"CRASH_REASON">>, Server)),
    [Div, Cast, Gen | _] = binary:split(value(<<"CRASH_STACK">>, Server), <<"\n">>, [global]),
    ?assertEqual(<<"erlang:div/2">>, Div),
    ?assertMatch({match, _}, re:run(Cast, "^crasher:handle_cast/2 \\(.*crasher\\.erl:[0-9]+\\)$")),
    ?assertMatch({match, _}, re:run(Gen, "^gen_server:[a-z_]+/[0-9] \\(gen_server\\.erl:[0-9]+\\)$")),
    %% proc_lib reports it as well.
    [Process] = [Entry || Entry <- Entries, string:find(value(<<"MESSAGE">>, Entry), "initial call") =/= nomatch],
    ?assertEqual(<<"crasher">>, value(<<"CRASH_PROCESS">>, Process)),
    ?assertEqual(<<"badarith">>, value(<<"CRASH_REASON">>, Process)).

crash_of_process(Config) ->
    [Entry] = crash(Config, fun() -> proc_lib:spawn(fun() -> exit({no, reason}) end) end),
    ?assertEqual(<<"{no,reason}">>, value(<<"CRASH_REASON">>, Entry)),
    ?assertEqual(value(<<"ERL_PID">>, Entry), value(<<"CRASH_PROCESS">>, Entry)).

crash_of_child(Config) ->
    Report = #{
        label => {supervisor, child_terminated},
        report => [{supervisor, {local, my_sup}}, {errorContext, child_terminated}, {reason, killed}, {offender, []}]
    },
    Entry = logged(#{}, error, Report, #{}, Config),
    ?assertEqual(<<"my_sup">>, value(<<"CRASH_PROCESS">>, Entry)),
    ?assertEqual(<<"killed">>, value(<<"CRASH_REASON">>, Entry)),
    ?assertEqual(undefined, value(<<"CRASH_STACK">>, Entry)),
    %% What only looks like a report, or like a stack, is sent as well.
    [
        begin
            Odd = logged(#{}, error, Like, #{}, Config),
            ?assertEqual(undefined, value(<<"CRASH_STACK">>, Odd))
        end
     || Like <- [
            #{label => {gen_server, terminate}, name => x, reason => {bad_rows, [{user, email, <<"x">>, 1}]}},
            #{label => {gen_server, terminate}, name => x, reason => {bad_rows, [{user, email, 1, []} | x]}},
            #{label => {gen_server, terminate}, name => x, reason => {error, x, [{user, email, [a | b], []}]}},
            #{label => {supervisor, x}, report => [a | b]},
            #{label => {proc_lib, crash}, report => [[a | b]]}
        ]
    ],
    %% No error, no crash.
    ?assertEqual(undefined, value(<<"CRASH_REASON">>, logged(#{}, info, Report, #{}, Config))).

crash_reason_of_elixir(Config) ->
    Stack = [{'Elixir.My.Module', run, 1, [{file, "lib/my.ex"}, {line, 7}]}],
    Entry = logged(#{}, error, "GenServer terminating", #{crash_reason => {oops, Stack}, pid => self()}, Config),
    ?assertEqual(<<"oops">>, value(<<"CRASH_REASON">>, Entry)),
    ?assertEqual(<<"My.Module.run/1 (lib/my.ex:7)">>, value(<<"CRASH_STACK">>, Entry)),
    %% As a Task reports it, before Logger translates it.
    Report = #{
        label => {'Elixir.Task.Supervisor', terminating},
        report => #{name => self(), starter => self(), function => f, args => [], reason => {oops, Stack}}
    },
    Task = logged(#{}, error, Report, #{}, Config),
    ?assertEqual(<<"oops">>, value(<<"CRASH_REASON">>, Task)),
    ?assertEqual(list_to_binary(pid_to_list(self())), value(<<"CRASH_PROCESS">>, Task)).

add(Config, Handler) ->
    Default = #{formatter => systemd_journal_config:message_only(), config => #{path => recorder:path(recorder(Config))}},
    logger:add_handler(journal, systemd_journal_h, maps:merge(Default, Handler)).

own_formatter(Config) ->
    ok = add(Config, #{formatter => {logger_formatter, #{template => ["<", level, "> ", msg, "\n"]}}}),
    logger:notice("hello"),
    ?assertEqual(<<"<notice> hello">>, value(<<"MESSAGE">>, journald:next(recorder(Config)))).

%% With one key more the formatter itself is asked.
strings_as_its_formatter_has_them(Config) ->
    Strings = [<<"grüezi 🌍"/utf8>>, "grüezi 🌍", ["a", [<<"ü"/utf8>>, $b] | <<"c">>], <<255>>, ["a", <<255>>], [-1], [a]],
    [Quick, Asked] = [
        begin
            ok = add(Config, #{formatter => {logger_formatter, Formatter#{template => [msg], single_line => false}}}),
            [logger:notice(String) || String <- Strings],
            Entries = [journald:next(recorder(Config)) || _ <- Strings],
            ok = journald:remove(),
            [proplists:get_value(<<"MESSAGE">>, Entry) || Entry <- Entries]
        end
     || Formatter <- [#{}, #{depth => 1000}]
    ],
    ?assertEqual(Asked, Quick),
    ?assertMatch([<<"grüezi 🌍"/utf8>>, <<"grüezi 🌍"/utf8>>, <<"aübc"/utf8>>, <<"ÿ"/utf8>> | _], Quick).

%% A formatter.
format(_, #{do := Do}) -> Do().

formatter_raises(Config) ->
    ok = add(Config, #{formatter => {?MODULE, #{do => fun() -> error(oops) end}}}),
    [logger:notice("hello ~p", [world]) || _ <- [1, 2, 3]],
    [
        ?assertMatch(
            <<"FORMATTER CRASH: {\"hello ~p\",[world]}; formatter journal_SUITE failed: error oops at ", _/binary>>,
            value(<<"MESSAGE">>, journald:next(recorder(Config)))
        )
     || _ <- [1, 2, 3]
    ],
    ?assertMatch([_], [Line || Line <- stderr:lines(), string:find(Line, "oops") =/= nomatch]),
    ?assertMatch({ok, _}, logger:get_handler_config(journal)).

formatter_returns_nonsense(Config) ->
    [
        begin
            ok = add(Config, #{formatter => {?MODULE, #{do => fun() -> Nonsense end}}}),
            logger:notice("hello"),
            ?assertEqual(
                <<"FORMATTER ERROR: bad return value: {string,\"hello\"}">>,
                value(<<"MESSAGE">>, journald:next(recorder(Config)))
            ),
            ?assertMatch({ok, _}, logger:get_handler_config(journal)),
            ok = journald:remove()
        end
     || Nonsense <- [ok, {x}, [-1], [a], ["a" | b], #{}, [16#110000]]
    ],
    ?assertMatch([_ | _], [Line || Line <- stderr:lines(), string:find(Line, "no text") =/= nomatch]).

report_cb_fails(Config) ->
    [
        begin
            Entry = logged(#{report_cb => Callback}, info, #{user => me}, #{}, Config),
            ?assertEqual(<<"    user: me">>, value(<<"MESSAGE">>, Entry)),
            ?assertNotEqual(undefined, value(<<"REPORT_CB_ERROR">>, Entry))
        end
     || Callback <- [fun(_) -> error(oops) end, fun(_) -> nonsense end, fun(_) -> [{a}] end, fun(_, _) -> [a | b] end]
    ],
    timer:sleep(50),
    ?assertEqual(4, length([Line || Line <- stderr:lines(), string:find(Line, "report_cb failed") =/= nomatch])).

invalid_configuration(Config) ->
    [
        begin
            Given = maps:merge(#{path => recorder:path(recorder(Config))}, Invalid),
            {error, {handler_not_added, Reason}} = logger:add_handler(journal, systemd_journal_h, #{config => Given}),
            [Key] = maps:keys(Invalid),
            ?assertMatch({Key, #{Key := _}}, {Key, element(3, Reason)}),
            ?assertMatch({invalid_config, systemd_journal_h}, {element(1, Reason), element(2, Reason)})
        end
     || Invalid <- [
            #{fields => priority},
            #{fields => [{"_A", a}]},
            #{fields => [{"1A", a}]},
            #{fields => [{"A-B", a}]},
            #{fields => [{"", a}]},
            #{fields => [{lists:duplicate(65, $A), a}]},
            #{fields => [{"MESSAGE", a}]},
            #{fields => ['a.b']},
            #{fields => [7]},
            #{fields => [{"A", 7}]},
            #{fields => [{"A", {b}}]},
            #{fields => [{"A", [a, 1]}]},
            #{fields => [{"A", [a | b]}]},
            #{fields => [priority | level]},
            #{metadata => request_id},
            #{metadata => [<<"request_id">>]},
            #{metadata => [a | b]},
            #{report_cb => fun() -> [] end},
            #{report_cb => maps},
            #{send_timeout => -1},
            #{send_timeout => infinity},
            #{send_timeout => 1 bsl 32},
            #{path => 7},
            #{path => [x]},
            #{path => "/a\0b"},
            #{path => "/" ++ lists:duplicate(200, $a)},
            #{unknown => 1}
        ]
    ],
    ?assertMatch({error, {handler_not_added, _}}, logger:add_handler(journal, systemd_journal_h, #{config => []})),
    ?assertMatch({error, _}, logger:get_handler_config(journal)),
    %% The keys of logger_std_h are welcome.
    ok = add(Config, #{config => #{
        path => recorder:path(recorder(Config)), sync_mode_qlen => 10, drop_mode_qlen => 200, flush_qlen => 1000,
        burst_limit_enable => true, burst_limit_max_count => 500, burst_limit_window_time => 1000,
        overload_kill_enable => false, overload_kill_qlen => 20000, overload_kill_mem_size => 3000000,
        overload_kill_restart_after => 5000
    }}).

%% Lines go to standard error with their levels, and one says why; the journal has those that come when it is there.
no_journald(_) ->
    File = "/tmp/systemd-file-" ++ os:getpid(),
    ok = file:write_file(File, ""),
    [
        begin
            ok = logger:add_handler(journal, systemd_journal_h, #{
            formatter => systemd_journal_config:message_only(), config => #{path => Path}
        }),
            Before = length(stderr:lines()),
            {Micros, _} = timer:tc(fun() -> [logger:error("one~n~s", [[$t, $w, $o, 0]]), logger:notice(Note)] end),
            ?assert(Micros < 500000),
            [Why | Lines] = lists:nthtail(Before, stderr:lines()),
            ?assertMatch({match, _}, re:run(Why, "^<3>systemd: .* at " ++ Path ++ ": .*\\(" ++ Reason ++ "\\)\n$")),
            ?assertEqual(["<3>one\n<3>two" ++ [16#FFFD] ++ "\n", "<5>note\n"], Lines),
            ?assertMatch(#{journal := #{reachable := false, sent := 0, dropped := 0}}, maps:get(journal, systemd:info())),
            ok = journald:remove()
        end
     || {Path, Reason, Note} <- [
            {"/nonexistent/socket", "enoent", "note"}, {File, "econnrefused", ["no" | <<"te">>]}, {"/tmp", "econnrefused", "note"}
        ]
    ],
    ok = file:delete(File),
    ok = logger:add_handler(journal, systemd_journal_h, #{
            formatter => systemd_journal_config:message_only(), config => #{path => File}
        }),
    logger:notice("early"),
    Recorder = recorder:start(File),
    logger:notice("late"),
    ?assertEqual(<<"late">>, value(<<"MESSAGE">>, journald:next(Recorder))),
    ok = journald:remove(),
    recorder:stop(Recorder).

%% A stuck standard error holds up nobody for long, and takes no memory without end.
nobody_reads_standard_error(_) ->
    ok = logger:add_handler(journal, systemd_journal_h, #{
            formatter => systemd_journal_config:message_only(), config => #{path => "/nonexistent/socket", send_timeout => 500}
        }),
    Server = whereis(standard_error),
    ok = sys_suspend(Server),
    {Micros, _} = timer:tc(fun() -> [logger:notice("line ~b", [N]) || N <- lists:seq(1, 1000)] end),
    {message_queue_len, Waiting} = process_info(Server, message_queue_len),
    true = erlang:resume_process(Server),
    ?assert(Micros < 10000000),
    ?assert(Waiting =< 200),
    wait(fun() -> length(stderr:lines()) =:= Waiting end),
    ?assertMatch(#{journal := #{dropped := Dropped}} when Dropped >= 800, maps:get(journal, systemd:info())),
    %% Nobody is left to wait for it.
    wait(fun() -> [] =:= [Pid || Pid <- processes(), {current_function, {systemd_journal_stderr, _, _}} <- [process_info(Pid, current_function)]] end),
    %% Then lines go on, in order.
    [logger:notice("then ~b", [N]) || N <- [1, 2, 3]],
    ?assertEqual(["<5>then 1\n", "<5>then 2\n", "<5>then 3\n"], [Line || "<5>then" ++ _ = Line <- stderr:lines()]),
    %% Whoever would tell the journal says so in its place, when there is no such handler any more.
    ok = journald:remove(),
    wait(fun() -> string:find(lists:last(stderr:lines()), " log lines were dropped") =/= nomatch end).

sys_suspend(Pid) ->
    true = erlang:suspend_process(Pid),
    ok.

%% As where it was not built, or is for another C library.
library_missing(_) ->
    persistent_term:put(systemd_nif, "no such file"),
    try
        ok = logger:add_handler(journal, systemd_journal_h, #{
            formatter => systemd_journal_config:message_only(), config => #{metadata => scalars}
        }),
        logger:warning("hello"),
        logger:notice("~p", [world]),
        ?assertMatch(["<3>systemd: the log handler journal writes to standard error" ++ _, "<4>hello\n", "<5>world\n"], stderr:lines()),
        ?assertMatch({match, _}, re:run(stderr:lines(), "no such file")),
        ?assertMatch(#{journal := #{reachable := false}}, maps:get(journal, systemd:info())),
        {ok, #{config := #{metadata := scalars}}} = logger:get_handler_config(journal),
        ok = logger:update_handler_config(journal, config, #{send_timeout => 5}),
        [
            ?assertMatch({error, {invalid_config, _, _, _}}, logger:update_handler_config(journal, config, Invalid))
         || Invalid <- [
                #{fields => [{"9a", a}]}, #{fields => [{"MESSAGE", a}]}, #{path => lists:duplicate(200, $a)}, #{path => "/a\0b"}
            ]
        ]
    after
        persistent_term:put(systemd_nif, loaded)
    end.

%% `logger:add_handlers(systemd)' and a configuration as RabbitMQ writes it.
add_handlers(Config) ->
    _ = application:load(systemd),
    {ok, [{handler, systemd_journal, systemd_journal_h, Handler}]} = application:get_env(systemd, logger),
    ok = add(Config, #{formatter => maps:get(formatter, Handler)}),
    logger:notice("one\ntwo"),
    ?assertEqual(<<"one\ntwo">>, value(<<"MESSAGE">>, journald:next(recorder(Config)))),
    ok = journald:remove(),
    ok = add(Config, #{
        level => debug,
        filter_default => log,
        filters => [],
        formatter => {logger_formatter, #{template => [level, ": ", msg]}},
        config => #{
            path => recorder:path(recorder(Config)),
            fields => [{"SYSLOG_IDENTIFIER", "rabbitmq-server"}, syslog_timestamp, syslog_pid, priority, {"ERL_PID", pid}]
        }
    }),
    logger:notice("hello"),
    ?assertMatch(
        [
            {<<"MESSAGE">>, <<"notice: hello">>},
            {<<"SYSLOG_IDENTIFIER">>, <<"rabbitmq-server">>},
            {<<"SYSLOG_TIMESTAMP">>, _},
            {<<"SYSLOG_PID">>, _},
            {<<"PRIORITY">>, <<"5">>},
            {<<"ERL_PID">>, _}
        ],
        journald:next(recorder(Config))
    ).

%% As many as an entry has fields.
many_keys(Config) ->
    Keys = [list_to_atom("key" ++ integer_to_list(N)) || N <- lists:seq(1, 900)],
    Entry = logged(#{metadata => Keys}, info, "text", maps:from_list([{Key, 1} || Key <- Keys]), Config),
    ?assertEqual(900, length([Name || {<<"KEY", _/binary>> = Name, _} <- Entry])),
    More = [list_to_atom("key" ++ integer_to_list(N)) || N <- lists:seq(1, 5000)],
    ?assertMatch({error, _}, logger:add_handler(journal, systemd_journal_h, #{config => #{metadata => More}})).

%% From ten processes, while handlers come and go: nothing is lost, and nothing crashes.
changes_of_configuration(Config) ->
    Recorder = recorder(Config),
    Path = recorder:path(Recorder),
    Counter = counters:new(1, []),
    Reader = spawn_link(fun() -> count(Recorder, Counter) end),
    ok = add(Config, #{}),
    Loggers = [
        spawn_monitor(fun() -> [logger:notice("~b ~b", [N, M]) || M <- lists:seq(1, 1000)] end)
     || N <- lists:seq(1, 10)
    ],
    [
        begin
            ok = logger:set_handler_config(journal, config, #{path => Path, fields => [priority]}),
            ok = logger:update_handler_config(journal, config, #{metadata => all}),
            ok = logger:set_handler_config(journal, level, info),
            {error, _} = logger:update_handler_config(journal, config, #{metadata => 7})
        end
     || _ <- lists:seq(1, 50)
    ],
    [receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- Loggers],
    wait(fun() -> counters:get(Counter, 1) =:= 10000 end),
    %% Away and back again. What comes by this filter was accepted: it is the handler's from there.
    Accepted = counters:new(1, []),
    Filter = {fun(Event, _) -> counters:add(Accepted, 1, 1), Event end, []},
    ok = journald:remove(),
    More = [spawn_monitor(fun() -> notice_until_stopped(N) end) || N <- lists:seq(1, 10)],
    [
        begin
            ok = add(Config, #{filters => [{accepted, Filter}]}),
            reaches(Accepted, 5 * Time),
            ok = logger:remove_handler(journal)
        end
     || Time <- lists:seq(1, 100)
    ],
    [Logger ! stop || {Logger, _} <- More],
    [receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(normal, Reason) end || {_, Monitor} <- More],
    io:format(user, "~naccepted while the handler came and went: ~b~n", [counters:get(Accepted, 1)]),
    ?assert(counters:get(Accepted, 1) >= 500),
    wait(fun() -> counters:get(Counter, 1) =:= 10000 + counters:get(Accepted, 1) end),
    unlink(Reader),
    exit(Reader, kill),
    ?assertEqual([], stderr:lines()).

notice_until_stopped(N) ->
    logger:notice("~b", [N]),
    receive stop -> ok after 0 -> notice_until_stopped(N) end.

%% Without a sleep, in which too many would come.
reaches(Counter, Count) ->
    counters:get(Counter, 1) >= Count orelse begin erlang:yield(), reaches(Counter, Count) end.

count(Recorder, Counter) ->
    case recorder:next(Recorder, 5000) of
        nothing -> ok;
        _ -> counters:add(Counter, 1, 1), count(Recorder, Counter)
    end.

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(10), wait(Fun)
    end.

configuration_as_given(Config) ->
    Path = recorder:path(recorder(Config)),
    ok = add(Config, #{}),
    {ok, #{config := Defaults, formatter := Formatter}} = logger:get_handler_config(journal),
    ?assertMatch(#{path := Path, metadata := [], send_timeout := 1000, fields := [syslog_timestamp | _]}, Defaults),
    ?assertEqual({logger_formatter, #{template => [msg], single_line => false}}, Formatter),
    ?assertEqual(4, map_size(Defaults)),
    ok = logger:update_handler_config(journal, config, #{send_timeout => 5}),
    {ok, #{config := Updated}} = logger:get_handler_config(journal),
    ?assertEqual(Defaults#{send_timeout := 5}, Updated),
    %% What was got can be set again.
    ok = logger:set_handler_config(journal, config, Updated),
    logger:notice("hello"),
    ?assertEqual(<<"hello">>, value(<<"MESSAGE">>, journald:next(recorder(Config)))),
    %% Another path is another socket.
    Other = recorder:start(),
    ok = logger:update_handler_config(journal, config, #{path => recorder:path(Other)}),
    logger:notice("there"),
    ?assertEqual(<<"there">>, value(<<"MESSAGE">>, journald:next(Other))),
    recorder:stop(Other).

%% As kernel's default handler, from the first line of a VM on that doesn't run the application.
of_kernel(Config) ->
    Kernel = io_lib:format(
        "[{handler,default,systemd_journal_h,#{config=>#{path=>\"~s\"}}}]", [recorder:path(recorder(Config))]
    ),
    Ebin = service:ebin(),
    "" = os:cmd(io_lib:format(
        "erl -noinput -pa ~s -kernel logger '~s' -eval 'logger:error(\"from kernel\"), halt().'", [Ebin, Kernel]
    )),
    ?assertEqual(<<"from kernel">>, value(<<"MESSAGE">>, journald:next(recorder(Config)))).
