%% systemd_kmsg_formatter, is_journal/1, and what the application does with the handlers.
-module(kmsg_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        levels, every_line, unicode, parent, no_text, no_forged_lines, long_lines, invalid_parent, installed_on_the_journal,
        not_installed_elsewhere, not_installed_when_told, not_installed_on_other_configs, standard_error_alone, is_journal,
        install_journal_elsewhere, install_journal_without_journald,
        install_journal_with_options, invalid_config_keys
    ].

suite() -> [{timetrap, {minutes, 1}}].

formatted(Level, Text, Config) ->
    Event = #{level => Level, msg => {string, Text}, meta => #{time => 0}},
    unicode:characters_to_binary(systemd_kmsg_formatter:format(Event, Config)).

message(Level, Text) -> formatted(Level, Text, #{template => [msg, "\n"], single_line => false}).

levels(_) ->
    ?assertEqual(
        [<<"<", N, ">x\n">> || N <- "01234567"],
        [message(Level, "x") || Level <- [emergency, alert, critical, error, warning, notice, info, debug]]
    ).

every_line(_) ->
    [
        ?assertEqual({Text, Lines}, {Text, message(info, Text)})
     || {Text, Lines} <- [
            {"one\ntwo", <<"<6>one\n<6>two\n">>},
            {"one\n\ntwo\n", <<"<6>one\n<6>\n<6>two\n">>},
            {"one\n\n\n", <<"<6>one\n">>},
            {"", <<"<6>\n">>}
        ]
    ].

unicode(_) -> ?assertEqual(<<"<6>grüezi 🌍\n<6>ß\n"/utf8>>, message(info, "grüezi 🌍\nß")).

%% A parent with a configuration of its own.
format(#{msg := {string, Text}}, Config) -> ["parent ", lists:sort(maps:to_list(Config)), Text].

check_config(#{bad := true}) -> {error, bad};
check_config(Config) -> false = maps:is_key(parent, Config), ok.

parent(_) ->
    Event = #{level => error, msg => {string, "x"}, meta => #{}},
    ?assertEqual(
        <<"<3>parent x\n">>,
        iolist_to_binary(systemd_kmsg_formatter:format(Event, #{parent => ?MODULE}))
    ),
    ?assertEqual(ok, systemd_kmsg_formatter:check_config(#{parent => ?MODULE, other => 1})).

%% The level stays, and so does what is text.
no_text(_) ->
    [
        ?assertEqual({Text, Lines}, {Text, formatted(error, Text, #{parent => ?MODULE})})
     || {Text, Lines} <- [
            {<<"a", 255, "b">>, <<"<3>parent a�b\n"/utf8>>},
            {["ü", <<"x", 226, 130>>, 16#D800 | <<"\ny">>], <<"<3>parent üx���\n<3>y\n"/utf8>>},
            {<<"ü"/utf8>>, <<"<3>parent ü\n"/utf8>>}
        ]
    ],
    ?assertEqual(<<"<3>FORMATTER ERROR: bad return value: {string,ok}\n">>, formatted(error, ok, #{parent => ?MODULE})),
    ?assertMatch(<<"<3>FORMATTER CRASH: {nonsense}; formatter kmsg_SUITE failed: error function_clause at ", _/binary>>, begin
        Event = #{level => error, msg => {nonsense}, meta => #{}},
        iolist_to_binary(systemd_kmsg_formatter:format(Event, #{parent => ?MODULE}))
    end).

%% For journald a NUL ends a line as well.
no_forged_lines(_) ->
    ?assertEqual(<<"<3>user �<0>kernel panic�\n<3><0>x\n"/utf8>>, message(error, <<"user ", 0, "<0>kernel panic", 0, "\n<0>x">>)).

%% At most LineMax= in journald.conf(5) with the prefix and the newline, between characters.
long_lines(_) ->
    [
        begin
            Lines = binary:split(message(error, Text), <<"\n">>, [global, trim_all]),
            ?assertEqual(Sizes, [byte_size(Line) || Line <- Lines]),
            Parts = [begin <<"<3>", Part/binary>> = Line, Part end || Line <- Lines],
            ?assertEqual(Text, iolist_to_binary(Parts)),
            [?assertEqual(Part, unicode:characters_to_binary(Part)) || Part <- Parts]
        end
     || {Text, Sizes} <- [
            {binary:copy(<<"a">>, 49148), [49151]},
            {binary:copy(<<"a">>, 49149), [49151, 4]},
            {binary:copy(<<"a">>, 100000), [49151, 49151, 1707]},
            %% As a device of Latin-1 has them: \x{1F30D}, \x{4E2D}, \x{100}.
            {<<"a", (binary:copy(<<"🌍"/utf8>>, 10000))/binary>>, [3 + 1 + 4 * 5460, 3 + 4 * 4540]},
            {binary:copy(<<"中"/utf8>>, 10000), [3 + 3 * 6143, 3 + 3 * 3857]},
            {binary:copy(<<"Ā"/utf8>>, 10000), [3 + 2 * 7021, 3 + 2 * 2979]},
            {binary:copy(<<"ü"/utf8>>, 24574), [49151]}
        ]
    ].

invalid_parent(_) ->
    Add = fun(Config) ->
        logger:add_handler(kmsg, logger_std_h, #{formatter => {systemd_kmsg_formatter, Config}})
    end,
    ?assertEqual(
        {error, {invalid_formatter_config, systemd_kmsg_formatter, {parent, nobody}}}, Add(#{parent => nobody})
    ),
    ?assertMatch({error, _}, Add(#{parent => "x"})),
    ?assertMatch({error, _}, Add(#{parent => logger_formatter, template => x})),
    ?assertEqual({error, bad}, Add(#{parent => ?MODULE, bad => true})),
    ?assertEqual(ok, Add(#{})),
    ok = logger:remove_handler(kmsg).

%% What a VM writes whose standard output and error are files, one of which is "the journal".
written(Stream, Env, Eval, Config) ->
    Folder = filename:join(proplists:get_value(priv_dir, Config), integer_to_list(erlang:unique_integer([positive]))),
    ok = file:make_dir(Folder),
    Script = io_lib:format(
        "cd ~s && touch out err && exec env ~s erl -noshell -pa ~s ~s -eval '"
        "{ok, _} = application:ensure_all_started(systemd), ~s, logger:error(\"one~~ntwo\", []), timer:sleep(100), halt().' "
        ">out 2>err </dev/null",
        [
            Folder,
            case Stream of
                none -> "-u JOURNAL_STREAM";
                other -> "JOURNAL_STREAM=1:1";
                File -> "JOURNAL_STREAM=$(stat -c %d:%i " ++ File ++ ")"
            end,
            service:ebin(),
            lists:join($\s, [io_lib:format("-systemd ~s ~s", [Key, Value]) || {Key, Value} <- Env]),
            Eval
        ]
    ),
    "" = os:cmd(Script),
    {ok, Out} = file:read_file(filename:join(Folder, "out")),
    {ok, Err} = file:read_file(filename:join(Folder, "err")),
    {binary_to_list(Out), binary_to_list(Err)}.

installed_on_the_journal(Config) ->
    {Out, ""} = written("out", [], "ok", Config),
    Lines = string:lexemes(Out, "\n"),
    ?assertEqual("<3>one", lists:nth(length(Lines) - 1, Lines)),
    ?assertEqual("<3>two", lists:last(Lines)),
    ?assert(lists:all(fun(Line) -> string:prefix(Line, "<3>") =/= nomatch end, Lines)).

not_installed_elsewhere(Config) ->
    [
        begin
            {Out, ""} = written(Stream, [], "ok", Config),
            ?assertEqual(nomatch, string:find(Out, "<3>"))
        end
     || Stream <- [none, other, "err"]
    ].

not_installed_when_told(Config) ->
    [
        begin
            {Out, ""} = written("out", [{Key, false}], "ok", Config),
            ?assertEqual(nomatch, string:find(Out, "<3>"))
        end
     || Key <- [install_kmsg, auto_formatter]
    ].

%% A formatter's configuration need not be a map, and so has no room for a parent.
not_installed_on_other_configs(Config) ->
    {Out, Err} = written(
        "err", [],
        "application:stop(systemd), logger:add_handler(odd, logger_std_h, #{formatter => {io_lib, [list]}, "
        "level => none, config => #{type => standard_error}}), ok = application:start(systemd), "
        "{ok, #{formatter := {io_lib, [list]}}} = logger:get_handler_config(odd), io:format(\"left alone~n\")",
        Config
    ),
    ?assertEqual({"", match}, {Err, re:run(Out, "left alone", [{capture, none}])}).

standard_error_alone(Config) ->
    {Out, Err} = written(
        "err", [],
        "logger:add_handler(err, logger_std_h, #{config => #{type => standard_error}}), "
        "application:stop(systemd), application:start(systemd)",
        Config
    ),
    ?assertEqual(nomatch, string:find(Out, "<3>one")),
    ?assertNotEqual(nomatch, string:find(Err, "<3>")).

is_journal(Config) ->
    Eval = "io:format(\"~0p\", [[systemd:is_journal(D) || D <- [standard_io, user, standard_error, x, self()]]])",
    [
        begin
            {Out, ""} = written(Stream, [], Eval, Config),
            ?assertMatch({Stream, {match, _}}, {Stream, re:run(Out, Answer)})
        end
     || {Stream, Answer} <- [
            {"out", "\\[true,true,false,false,false\\]"},
            {"err", "\\[false,false,true,false,false\\]"},
            {none, "\\[false,false,false,false,false\\]"},
            {other, "\\[false,false,false,false,false\\]"}
        ]
    ].

modules(Eval) -> Eval ++ "io:format(\"~0p~n\", [[{I, M} || #{id := I, module := M} <- logger:get_handler_config()]])".

%% One configuration for a laptop and a server.
install_journal_elsewhere(Config) ->
    {Out, ""} = written(none, [{install_journal, true}], modules(""), Config),
    ?assertNotEqual(nomatch, string:find(Out, "[{default,logger_std_h}]")),
    ?assertEqual(nomatch, string:find(Out, "install_journal")).

%% There is a stream to the journal, but not journald's own socket.
install_journal_without_journald(Config) ->
    case file:read_file_info("/run/systemd/journal/socket") of
        {ok, _} ->
            {skip, "there is a journald here"};
        {error, enoent} ->
            {Out, Err} = written("out", [{install_journal, true}], modules(""), Config),
            ?assertNotEqual(nomatch, string:find(Out, "[{default,systemd_journal_h}]")),
            ?assertMatch({match, _}, re:run(Err, "^<3>systemd: the log handler .*enoent.*\n<3>one\n<3>two\n$"))
    end.

%% Keys can be listed, and options of the handler be given.
install_journal_with_options(Config) ->
    Shown = "{ok, #{config := C}} = logger:get_handler_config(default), "
        "io:format(\"~0p~n\", [[maps:get(Key, C) || Key <- [metadata, send_timeout]]])",
    [
        begin
            {Out, _} = written("out", [{install_journal, Given}], Shown, Config),
            ?assertNotEqual({Given, nomatch}, {Given, string:find(Out, Expected)})
        end
     || {Given, Expected} <- [
            {"true", "[scalars,1000]"},
            {"'[{metadata,[request_id,conn]}]'", "[[request_id,conn],1000]"},
            {"'#{send_timeout=>7}'", "[scalars,7]"}
        ]
    ],
    {Out, _} = written("out", [{install_journal, "'[{metadata,7}]'"}], modules(""), Config),
    ?assertNotEqual(nomatch, string:find(Out, "[{default,logger_std_h}]")),
    ?assertNotEqual(nomatch, string:find(Out, "<3>systemd: install_journal: the handler could not be added")).

invalid_config_keys(Config) ->
    {Out, ""} = written(none, [{install_journal, "7"}, {install_kmsg, perhaps}], "ok", Config),
    [?assertNotEqual(nomatch, string:find(Out, Text)) || Text <- ["install_journal is 7", "install_kmsg is perhaps"]].
