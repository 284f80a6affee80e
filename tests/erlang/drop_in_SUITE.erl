%% What users of the hex package are used to: each of these calls it answers as well.
-module(drop_in_SUITE).
-behaviour(supervisor).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").
-include_lib("systemd/include/systemd.hrl").

all() ->
    [
        ready_undefined, numbers_as_text, header, auto_formatter, names_of_descriptors, empty_line, watchdog_of_another,
        disabled_watchdog_of_another, other_signals, types, explicit_formatter, child_specs, registered_names,
        unknown_state, notify_socket_is_set_again, pings_per_timeout, empty_fields, escript, every_row
    ].

suite() -> [{timetrap, {minutes, 2}}].

init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    log_counter:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    _ = application:load(systemd),
    [{recorder, Recorder} | Config].

end_per_testcase(_, Config) ->
    _ = application:stop(systemd),
    _ = application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"]],
    log_counter:stop(),
    recorder:stop(proplists:get_value(recorder, Config)).

recorder(Config) -> proplists:get_value(recorder, Config).

init(Children) -> {ok, {#{}, Children}}.

supervise(Children) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, Children),
    Supervisor.

ready_undefined(Config) ->
    ok = application:start(systemd),
    _ = supervise([systemd:ready(undefined)]),
    ?assertEqual([<<"READY=1\n">>], recorder:all(recorder(Config))).

numbers_as_text(Config) ->
    ok = application:start(systemd),
    Own = os:getpid(),
    [
        begin
            ?assertEqual({State, ok}, {State, systemd:notify([ready, State])}),
            ?assertEqual([iolist_to_binary(["READY=1\n", Sent, "\n"])], recorder:all(recorder(Config)))
        end
     || {State, Sent} <- [
            {{mainpid, Own}, ["MAINPID=", Own]},
            {{watchdog_usec, "5000000"}, "WATCHDOG_USEC=5000000"},
            {{watchdog_usec, <<"18446744073709551615">>}, "WATCHDOG_USEC=18446744073709551615"},
            {{exit_status, <<"1">>}, "EXIT_STATUS=1"},
            {{errno, "10"}, "ERRNO=10"},
            {{errno, ["1", <<"0">>]}, "ERRNO=10"},
            {{extend_timeout, {"1500", millisecond}}, "EXTEND_TIMEOUT_USEC=1500000"}
        ]
    ],
    [
        ?assertEqual({State, {error, {invalid_value, element(1, State)}}}, {State, systemd:notify([ready, State])})
     || State <- [
            {mainpid, "0"}, {mainpid, "12x"}, {mainpid, ""}, {watchdog_usec, "-1"},
            {watchdog_usec, "18446744073709551616"},
            {exit_status, <<"256">>}, {errno, "4096"}, {errno, " 1"}, {errno, <<255>>}, {errno, [$1 | $0]},
            {extend_timeout, {"x", second}}, {extend_timeout, {"1", "second"}}
        ]
    ],
    ?assertEqual([], recorder:all(recorder(Config))).

header(_) ->
    ?assertEqual(
        ["<0>", "<1>", "<2>", "<3>", "<4>", "<5>", "<6>", "<7>"],
        [?SD_EMERG, ?SD_ALERT, ?SD_CRIT, ?SD_ERR, ?SD_WARNING, ?SD_NOTICE, ?SD_INFO, ?SD_DEBUG]
    ).

%% The newer name wins; kmsg_SUITE shows what it does.
auto_formatter(_) ->
    Value = fun(Keys) ->
        [application:set_env(systemd, Key, Value) || {Key, Value} <- Keys],
        Installs = systemd_config:value(install_kmsg),
        [application:unset_env(systemd, Key) || {Key, _} <- Keys],
        Installs
    end,
    ?assertEqual(true, Value([])),
    ?assertEqual(false, Value([{auto_formatter, false}])),
    ?assertEqual(true, Value([{auto_formatter, false}, {install_kmsg, true}])),
    ?assertEqual(false, Value([{auto_formatter, true}, {install_kmsg, false}])),
    ?assertEqual(true, Value([{auto_formatter, perhaps}])),
    ?assertEqual([], systemd_config:problems([{auto_formatter, false}])).

names_of_descriptors(Config) -> listen_SUITE:names_that_do_not_fit(Config).

%% A formatter that leaves an event out.
format(#{level := debug}, _) -> [[], <<>>, [[]]];
format(#{msg := {string, Text}}, _) -> Text.

empty_line(_) ->
    Journal = recorder:start(),
    ok = journald:add(Journal, #{}),
    ok = logger:set_handler_config(journal, formatter, {?MODULE, #{}}),
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, all),
    logger:debug("left out"),
    logger:info("sent"),
    ok = logger:set_primary_config(level, Level),
    ?assertEqual(<<"sent">>, journald:value(<<"MESSAGE">>, journald:next(Journal))),
    #{journal := #{journal := Counts}} = systemd:info(),
    ?assertMatch(#{sent := 1, dropped := 0}, Counts),
    %% Nor to standard error in journald's place.
    recorder:stop(Journal),
    journald:remove().

%% The user's word counts.
watchdog_of_another(Config) ->
    another(),
    ok = application:start(systemd),
    ?assertEqual(false, systemd:watchdog(state)),
    ?assertMatch(#{watchdog := false}, systemd:info()),
    ?assertEqual(undefined, whereis(systemd_watchdog)),
    ?assertEqual([], recorder:all(recorder(Config))),
    ?assertEqual(ok, systemd:watchdog(enable)),
    ?assertEqual(500, systemd:watchdog(state)),
    [?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(recorder(Config))) || _ <- lists:seq(1, 5)],
    ?assertMatch(#{watchdog := #{enabled := true}}, systemd:info()),
    %% Also in its next life.
    exit(whereis(systemd_watchdog), kill),
    [?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(recorder(Config))) || _ <- lists:seq(1, 5)],
    ?assertEqual(500, systemd:watchdog(state)),
    %% A restart in place has the manager wait longer.
    ?assertEqual([{watchdog_usec, 120000000}], systemd_lifecycle:raised_watchdog_timeout(120000)),
    ?assertEqual(ok, systemd:watchdog(disable)),
    ?assertEqual(false, systemd:watchdog(state)).

disabled_watchdog_of_another(Config) ->
    another(),
    ok = application:start(systemd),
    ?assertEqual(ok, systemd:watchdog(disable)),
    ?assertEqual(false, systemd:watchdog(state)),
    timer:sleep(200),
    ?assertEqual([], recorder:all(recorder(Config))).

another() ->
    os:putenv("WATCHDOG_USEC", "500000"),
    os:putenv("WATCHDOG_PID", "1").

%% Each reloads. Kernel's own handler, which ends the VM at two of them, is back when the application stops.
other_signals(Config) ->
    Recorder = recorder(Config),
    [
        begin
            Flags = ["-systemd handle_event ", Signal, " -systemd reload '{erlang,now,[]}'"],
            Service = service:start(Recorder, "ready", service:ebin(), Flags),
            ?assertEqual(<<"READY=1\n">>, service:next(Recorder)),
            "sig" ++ Name = Signal,
            service:signal(Service, string:uppercase(Name)),
            ?assertMatch(<<"RELOADING=1\n", _/binary>>, service:next(Recorder)),
            ?assertMatch(<<"READY=1\nSTATUS=reloaded", _/binary>>, service:next(Recorder)),
            service:eval(Service, "application:stop(systemd), application:start(systemd), systemd:notify({x_on, 1})"),
            ?assertEqual(<<"X_ON=1\n">>, service:next(Recorder)),
            service:signal(Service, "TERM"),
            ?assertEqual(<<"STOPPING=1\n">>, service:next(Recorder)),
            ?assertEqual(0, service:await_end(Service)),
            service:stop(Service)
        end
     || Signal <- ["sighup", "sigusr1", "sigusr2", "sigquit", "sigalrm", "sigtstp"]
    ],
    Stopped = service:start(Recorder, "ready", service:ebin(), "-systemd handle_event sigusr1"),
    ?assertEqual(<<"READY=1\n">>, service:next(Recorder)),
    service:eval(Stopped, "application:stop(systemd), io:format(\"it is down\")"),
    wait(fun() -> string:find(service:log(Stopped), "it is down") =/= nomatch end, 2000),
    service:signal(Stopped, "USR1"),
    ?assertNotEqual(0, service:await_end(Stopped)),
    service:stop(Stopped).

types(_) ->
    {ok, {_, [{debug_info, {debug_info_v1, Backend, Data}}]}} =
        beam_lib:chunks(code:which(systemd_journal_h), [debug_info]),
    {ok, Forms} = Backend:debug_info(erlang_v1, systemd_journal_h, Data, []),
    Exported = lists:append([Types || {attribute, _, export_type, Types} <- Forms]),
    ?assertEqual([], [{field_definition, 0}, {field_name, 0}, {field_value, 0}] -- Exported).

%% And the one of `logger', where none is given; but not that of kernel's default handler.
explicit_formatter(_) ->
    Journal = recorder:start(),
    Config = #{path => recorder:path(Journal)},
    Message = fun(Handler) ->
        ok = logger:add_handler(journal, systemd_journal_h, Handler#{config => Config}),
        logger:error("text"),
        ok = journald:remove(),
        journald:value(<<"MESSAGE">>, journald:next(Journal))
    end,
    WithTime = "^[0-9]{4}-[0-9-]+T[0-9:.+]+ error: text$",
    ?assertMatch({match, _}, re:run(Message(#{formatter => {logger_formatter, #{}}}), WithTime)),
    ?assertMatch({match, _}, re:run(Message(#{}), WithTime)),
    Kernels = #{legacy_header => true, single_line => false},
    ?assertEqual(<<"text">>, Message(#{formatter => {logger_formatter, Kernels}})),
    {ok, [{handler, _, systemd_journal_h, Handler}]} = application:get_env(systemd, logger),
    ?assertEqual(<<"text">>, Message(maps:with([formatter], Handler))),
    recorder:stop(Journal).

%% An id finds the child. Two equal ones in one supervisor need an id of their own.
child_specs(Config) ->
    ok = application:start(systemd),
    Every = fun() -> "x" end,
    Specs = fun() ->
        [
            systemd:set_status(#{up => {status, "b"}}),
            systemd:set_status([{down, [{status, "c"}]}]), systemd:set_status([{down, [{status, "d"}]}]),
            systemd:status_every(60000, Every), systemd:extend_timeout_while_stopping(),
            systemd:extend_timeout_while_stopping([{limit, 7}])
        ]
    end,
    ?assertEqual(Specs(), Specs()),
    %% These leave no child behind.
    ?assertEqual(systemd:ready(), systemd:ready()),
    ?assertEqual(systemd:ready("a"), systemd:ready("a")),
    ?assertNotEqual(systemd:ready("a"), systemd:ready("b")),
    Supervisor = supervise(Specs()),
    [?assertEqual(ok, supervisor:terminate_child(Supervisor, Id)) || #{id := Id} <- Specs()],
    _ = recorder:all(recorder(Config)),
    Spec = systemd:set_status(#{up => {status, "x"}}),
    _ = supervise([Spec, Spec#{id => other}]),
    ?assertEqual([<<"STATUS=x\n">>, <<"STATUS=x\n">>], recorder:all(recorder(Config))).

registered_names(_) ->
    ok = application:start(systemd),
    {ok, Names} = application:get_key(systemd, registered),
    ?assertEqual([], [Name || Name <- [systemd_sup, systemd_watchdog], not lists:member(Name, Names)]).

unknown_state(_) ->
    ok = application:start(systemd),
    ?assertEqual({error, {invalid_state, redy}}, systemd:notify(redy)).

notify_socket_is_set_again(Config) ->
    ok = application:start(systemd),
    ?assertEqual(false, os:getenv("NOTIFY_SOCKET")),
    ok = application:stop(systemd),
    ?assertEqual(recorder:path(recorder(Config)), os:getenv("NOTIFY_SOCKET")).

pings_per_timeout(Config) ->
    os:putenv("WATCHDOG_USEC", "1000000"),
    ok = application:start(systemd),
    <<"WATCHDOG=1\n">> = recorder:next(recorder(Config)),
    Start = erlang:monotonic_time(millisecond),
    [?assertEqual(<<"WATCHDOG=1\n">>, recorder:next(recorder(Config))) || _ <- lists:seq(1, 10)],
    Took = erlang:monotonic_time(millisecond) - Start,
    ?assert(Took > 800 andalso Took < 1500, Took).

empty_fields(_) ->
    Journal = recorder:start(),
    ok = journald:add(Journal),
    logger:error("without a place"),
    ?assertEqual([], [Name || {<<"CODE_", _/binary>> = Name, _} <- journald:next(Journal)]),
    journald:remove(),
    recorder:stop(Journal).

%% With the application in the archive, and with it beside the archive.
escript(Config) ->
    Folder = proplists:get_value(priv_dir, Config),
    Beams = filelib:wildcard(filename:join(service:ebin(), "*.{beam,app}")),
    Source = filename:join(Folder, "main.erl"),
    ok = file:write_file(Source,
        "-module(main). -export([main/1]). main(_) -> {ok, _} = application:ensure_all_started(systemd), "
        "io:format(\"~0p~n\", [systemd:notify(ready)])."),
    {ok, main, Main} = compile:file(Source, [binary]),
    Written = fun(Name, Files, Environment) ->
        File = filename:join(Folder, Name),
        Archive = {archive, [{"main.beam", Main} | Files], []},
        ok = escript:create(File, [shebang, {emu_args, "-escript main main"}, Archive]),
        string:lexemes(os:cmd(Environment ++ " escript " ++ File ++ " 2>/dev/null"), "\n")
    end,
    Read = fun(File) -> {ok, Beam} = file:read_file(File), {"systemd/ebin/" ++ filename:basename(File), Beam} end,
    Inside = Written("inside", [Read(Beam) || Beam <- Beams], ""),
    ?assert(lists:member("{error,nif_not_loaded}", Inside), Inside),
    ?assertEqual([], recorder:all(recorder(Config))),
    Libraries = filename:dirname(code:lib_dir(systemd)),
    Beside = Written("beside", [], "ERL_LIBS=" ++ Libraries),
    ?assert(lists:member("ok", Beside), Beside),
    ?assertEqual(<<"READY=1\n">>, recorder:next(recorder(Config))).

%% Of what is different in docs/hex_package.md: the case that shows it.
rows() ->
    [
        {"`STOPPING=1`", shutdown_SUITE, once_when_shutdown_begins},
        {"`application:stop(systemd)` in a VM that lives on", children_SUITE, application_stop_says_nothing},
        {"`down` of `set_status/1`", children_SUITE, a_crash_in_the_tree_takes_no_status_down},
        {"`NOTIFY_SOCKET` after `application:stop(systemd)`", ?MODULE, notify_socket_is_set_again},
        {"`notify/1` under systemd", notify_SUITE, unreachable_is_logged_once},
        {"`notify/1` of an unknown state", ?MODULE, unknown_state},
        {"a notification while the application is not started", children_SUITE, application_not_started},
        {"a line break in `STATUS=`", notify_SUITE, one_line_status},
        {"`reload/0` outside systemd", reload_SUITE, without_systemd},
        {"SIGHUP", lifecycle_SUITE, reload_by_restart},
        {"pings per `WatchdogSec=`", ?MODULE, pings_per_timeout},
        {"a check that fails", watchdog_SUITE, what_failed_is_the_status_until_all_is_well},
        {"the name of a descriptor that is stored", fd_store_SUITE, names_and_counts},
        {"a connection that was handed out", listen_SUITE, connections},
        {"`credentials/1`", listen_SUITE, credentials},
        {"a log line that journald doesn't take at once", journal_outage_SUITE, counts_every_line},
        {"a log line above a datagram's size", journal_SUITE, large_messages},
        {"`systemd_journal_h` without journald", journal_SUITE, no_journald},
        {"`systemd_journal_h` before the application is started", ?MODULE, explicit_formatter},
        {"fields without a value, such as `CODE_FILE=` of an event without a place", ?MODULE, empty_fields},
        {"`CODE_MFA=` of an Elixir function", journal_SUITE, odd_functions},
        {"escripts", ?MODULE, escript}
    ].

every_row(_) ->
    Project = string:trim(os:cmd("git -C " ++ filename:dirname(?FILE) ++ " rev-parse --show-toplevel")),
    {ok, Text} = file:read_file(filename:join(Project, "docs/hex_package.md")),
    [_, Table] = string:split(Text, "| --- |"),
    {match, Rows} = re:run(Table, "^\\| (\\S.*?) \\|", [global, multiline, {capture, all_but_first, list}]),
    ?assertEqual(lists:append(Rows), [Row || {Row, _, _} <- rows()]),
    [?assert(lists:member(Case, Suite:all()), {Suite, Case}) || {_, Suite, Case} <- rows()].

wait(Fun, Tries) ->
    case Fun() of
        true -> ok;
        false when Tries > 0 -> timer:sleep(10), wait(Fun, Tries - 1)
    end.
