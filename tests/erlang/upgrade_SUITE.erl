%% New versions of the module systemd_nif in a VM that runs, and new lives of the application.
-module(upgrade_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("kernel/include/file.hrl").
-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        same_library, another_library, thread_before_ends_at_once, rebuilt_library, broken_library, forth_and_back,
        random_steps, rebuilt_and_restarted, while_a_term_is_stored,
        a_formatter_that_fails, a_message_that_is_no_text, memory_pressure, stopped_and_started
    ].

init_per_testcase(stopped_and_started, Config) -> vm_memory:counted(fun() -> prepare(Config) end);
init_per_testcase(_, Config) -> prepare(Config).

prepare(Config) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    os:putenv("WATCHDOG_USEC", "1000000"),
    application:set_env(systemd, warn_about_readiness_message, false),
    Journal = recorder:start(recorder:path(Recorder) ++ ".journal"),
    ok = application:start(systemd),
    ok = logger:add_handler(journal, systemd_journal_h, #{
        level => error, config => #{path => recorder:path(Journal)}
    }),
    %% Its socket is there from the first line on.
    logger:error("first"),
    [_] = recorder:all(Journal),
    [{recorder, Recorder}, {journal, Journal} | Config].

end_per_testcase(_, Config) ->
    ok = logger:remove_handler(journal),
    ok = application:stop(systemd),
    [os:unsetenv(Name) || Name <- ["NOTIFY_SOCKET", "WATCHDOG_USEC", "MEMORY_PRESSURE_WATCH"]],
    application:unset_env(systemd, warn_about_readiness_message),
    recorder:stop(proplists:get_value(journal, Config)),
    recorder:stop(proplists:get_value(recorder, Config)),
    %% The module of the build again, whatever a test case has made of it.
    {module, systemd_nif} = load().

load() ->
    _ = code:purge(systemd_nif),
    code:load_file(systemd_nif).

%% `code:load_file' twice, with the library as it is.
same_library(Config) ->
    ok = systemd:notify(ready),
    Before = {descriptors(), threads()},
    ?assert(soon(fun() -> thread_counter:count("sd-watchdog") =:= 1 end, 100)),
    [upgraded(fun() -> {module, systemd_nif} = load() end, Config) || _ <- lists:seq(1, 20)],
    %% A thread that was told to end does so a moment later.
    ?assert(soon(fun() -> {descriptors(), threads()} =:= Before end, 3000)).

%% What a release or Mix does: the file is another one, and so is the mapped copy of it.
another_library(Config) ->
    ok = systemd:notify(ready),
    Before = {descriptors(), threads()},
    with_copies(fun(Copies) ->
        [
            begin
                upgraded(fun() -> {module, systemd_nif} = load(Copy) end, Config),
                ?assert(is_mapped(library(Copy)))
            end
         || Copy <- Copies
        ],
        %% The thread of the copy before would take the silence for a stall by then.
        timer:sleep(1000),
        Said = recorder:all(proplists:get_value(recorder, Config)),
        ?assertEqual([<<"WATCHDOG=1\n">>], lists:usort(Said))
    end),
    %% A thread that was told to end does so a moment later.
    ?assert(soon(fun() -> {descriptors(), threads()} =:= Before end, 3000)).

%% It would go on to ask, and take the silence for a stall.
thread_before_ends_at_once(Config) ->
    _ = recorder:drain(proplists:get_value(recorder, Config)),
    ok = systemd:notify(ready),
    %% With so much room its process collects no garbage by itself.
    Watchdog = whereis(systemd_watchdog),
    _ = sys:replace_state(Watchdog, fun(State) -> process_flag(min_heap_size, 1 bsl 20), State end),
    true = erlang:garbage_collect(Watchdog),
    with_copies(fun(Copies) ->
        [
            begin
                {module, systemd_nif} = load(Copy),
                %% Replaced by the watchdog's process, what the notifier is kept in would have it collect too.
                ok = systemd:notify(ready),
                ok = systemd:watchdog(enable),
                ?assert(soon(fun() -> thread_counter:count("sd-watchdog") =:= 1 end, 100))
            end
         || Copy <- Copies
        ]
    end).

soon(Fun, Millis) ->
    Fun() orelse Millis > 0 andalso begin timer:sleep(1), soon(Fun, Millis - 1) end.

%% What `mix compile' does: another file in the same place.
rebuilt_library(Config) ->
    ok = systemd:notify(ready),
    Before = {descriptors(), threads()},
    with_copies(fun([Copy, Other | _]) ->
        [
            begin
                {ok, _} = file:copy(library(Other), library(Copy) ++ ".new"),
                ok = file:rename(library(Copy) ++ ".new", library(Copy)),
                upgraded(fun() -> {module, systemd_nif} = load(Copy) end, Config),
                ?assert(is_mapped(library(Copy)))
            end
         || _ <- lists:seq(1, 5)
        ]
    end),
    %% A thread that was told to end does so a moment later.
    ?assert(soon(fun() -> {descriptors(), threads()} =:= Before end, 3000)).

library(Copy) -> priv(Copy) ++ "/systemd_nif.so".

%% This very file, and not one that had its name.
is_mapped(File) ->
    {ok, #file_info{inode = Inode}} = file:read_file_info(File),
    {ok, Maps} = file:read_file("/proc/self/maps"),
    binary:match(Maps, iolist_to_binary(io_lib:format(" ~b ", [Inode]))) =/= nomatch.

%% A downgrade comes back to a file whose first copy may still be mapped.
forth_and_back(Config) ->
    ok = systemd:notify(ready),
    Before = {descriptors(), threads()},
    with_copies(fun([One, Other | _]) ->
        [
            upgraded(fun() -> {module, systemd_nif} = load(Copy) end, Config)
         || Copy <- [One, Other, One, One, Other, Other, One]
        ]
    end),
    %% A thread that was told to end does so a moment later.
    ?assert(soon(fun() -> {descriptors(), threads()} =:= Before end, 3000)).

broken_library(Config) ->
    with_copies(fun([Copy | _]) ->
        ok = file:write_file(library(Copy), "no library"),
        upgraded(fun() -> {error, on_load_failure} = load(Copy) end, Config)
    end).

%% Five copies of the application, each in its own folder.
with_copies(Fun) ->
    Copies = ["/tmp/systemd-" ++ os:getpid() ++ "-copy-" ++ integer_to_list(N) || N <- lists:seq(1, 5)],
    Original = code:lib_dir(systemd),
    try
        [
            begin
                ok = filelib:ensure_dir(File),
                {ok, _} = file:copy(From, File)
            end
         || Copy <- Copies,
            {From, File} <- [
                {code:priv_dir(systemd) ++ "/systemd_nif.so", library(Copy)}
                | [{Ebin, Copy ++ "/systemd/ebin/" ++ filename:basename(Ebin)}
                   || Ebin <- filelib:wildcard(service:ebin() ++ "/*")]
            ]
        ],
        Fun(Copies)
    after
        true = code:replace_path(systemd, Original ++ "/ebin"),
        [ok = file:del_dir_r(Copy) || Copy <- Copies]
    end.

priv(Copy) -> Copy ++ "/systemd/priv".

load(Copy) ->
    true = code:replace_path(systemd, Copy ++ "/systemd/ebin"),
    _ = code:purge(systemd_nif),
    code:load_abs(Copy ++ "/systemd/ebin/systemd_nif").

%% In a VM of its own, which is restarted in place as well.
random_steps(_) ->
    with_copies(fun([One, Two | _]) ->
        with_service(One, fun(Run) ->
            1000 = Run(start_watched, []),
            Seed = erlang:phash2(make_ref()),
            io:format(user, "~nseed ~b~n", [Seed]),
            {_, Kinds} = lists:foldl(
                fun({Number, Copy}, {Stored, Before}) ->
                    case Run(steps, [Copy, Seed + Number, 100, Stored]) of
                        {ok, Now, Kinds} ->
                            _ = Number rem 4 =:= 0 andalso begin ok = Run(restart, []), 1000 = Run(start_watched, []) end,
                            {Now, [Kinds | Before]};
                        Other ->
                            ct:fail(Other)
                    end
                end,
                {#{}, []},
                lists:enumerate([One, Two, One, Two, One, Two, One, Two])
            ),
            Sum = fun(Kind) -> lists:sum([maps:get(Kind, Each, 0) || Each <- Kinds]) end,
            io:format(user, "steps: ~0p~n", [[{Kind, Sum(Kind)} || Kind <- [store, clear, fetch, open, close, look, notify, fds]]])
        end)
    end).

%% A service with the application of that copy, which does what it is told to. A watchdog that nobody answers ends it.
with_service(Copy, Fun) ->
    Recorder = recorder:start(),
    Self = self(),
    Reader = spawn_link(fun() -> read(Recorder, Self) end),
    Flags = os:getenv("ERL_FLAGS", ""),
    os:putenv("WATCHDOG_USEC", "1000000"),
    os:putenv("ERL_FLAGS", Flags ++ " -systemd watchdog_on_hang abort"),
    Service = service:start(Recorder, "{status, \"up\"}", Copy ++ "/systemd/ebin"),
    os:putenv("ERL_FLAGS", Flags),
    try
        await_up(Service),
        Fun(fun(Function, Args) -> run(Service, Copy ++ "/result", Function, Args) end)
    after
        service:stop(Service),
        unlink(Reader),
        exit(Reader, kill),
        recorder:stop(Recorder)
    end.

read(Recorder, Test) ->
    _ = recorder:next(Recorder, 100) =:= <<"STATUS=up\n">> andalso begin Test ! up end,
    read(Recorder, Test).

await_up(Service) ->
    receive up -> ok
    after 20000 -> ct:fail(service:log(Service))
    end.

run(Service, _, restart, []) ->
    service:eval(Service, "init:restart()"),
    await_up(Service);
run(Service, File, Function, Args) ->
    _ = file:delete(File),
    service:eval(Service, lists:flatten(io_lib:format("upgrader:run(~0p, ~0p, ~0p)", [File, Function, Args]))),
    case soon(fun() -> filelib:is_regular(File) end, 60000) of
        true ->
            {ok, Result} = file:read_file(File),
            binary_to_term(Result);
        false ->
            ct:fail(service:log(Service))
    end.

%% A build puts another file in the place of the one that is loaded.
rebuilt_and_restarted(_) ->
    with_copies(fun([One, Two | _]) ->
        ok = mark(library(Two)),
        with_service(One, fun(Run) ->
            ?assertEqual({1, 0}, Run(store, [state, 1])),
            ok = file:rename(library(Two), library(One)),
            {module, systemd_nif} = Run(load, [One]),
            ?assertEqual({0, 1}, Run(store, [state, 2])),
            ok = Run(restart, []),
            ?assertEqual({ok, 2}, Run(fetch, [state])),
            ?assertEqual({0, 1}, Run(store, [state, 3]))
        end)
    end).

%% The thread that waits for the manager has another name there.
mark(Library) ->
    {ok, Bytes} = file:read_file(Library),
    file:write_file(Library, binary:replace(Bytes, <<"sd-notify">>, <<"sd-notifY">>)).

%% The manager's queue is full meanwhile, and the caller keeps what the call has made.
while_a_term_is_stored(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    ok = systemd:watchdog(disable),
    ok = systemd:store_term(state, before),
    with_copies(fun([Copy | _]) ->
        recorder:fill(Recorder),
        Self = self(),
        spawn_link(fun() ->
            Heap = lists:seq(1, 1000000),
            Self ! {stored, systemd:store_term(state, [now])},
            receive {how_long, Pid} -> Pid ! length(Heap) end
        end),
        timer:sleep(200),
        {module, systemd_nif} = load(Copy),
        {ok, before} = systemd:fetch_term(state),
        Reader = recorder:drain(Recorder),
        ok = receive {stored, Result} -> Result end,
        {ok, [now]} = systemd:fetch_term(state),
        {ok, Listener} = gen_tcp:listen(0, []),
        {ok, Fd} = inet:getfd(Listener),
        File = recorder:file(Fd),
        _ = code:purge(systemd_nif),
        collect(),
        ok = systemd:store_term(state, again),
        ok = systemd:clear_fds([state]),
        ?assertEqual(File, recorder:file(Fd)),
        {ok, _} = inet:port(Listener),
        ok = gen_tcp:close(Listener),
        unlink(Reader),
        exit(Reader, kill)
    end).

%% Its events say so, before and after.
a_formatter_that_fails(Config) ->
    Journal = proplists:get_value(journal, Config),
    ok = logger:set_handler_config(journal, formatter, {?MODULE, #{}}),
    Log = fun() ->
        logger:error("hello"),
        ?assertMatch({_, _}, binary:match(recorder:next(Journal), <<"FORMATTER CRASH: {string,\"hello\"}">>))
    end,
    _ = recorder:all(Journal),
    Log(),
    with_copies(fun([Copy | _]) ->
        {module, systemd_nif} = load(Copy),
        [Log() || _ <- [1, 2, 3]]
    end).

format(_, #{no_text := true}) -> lists:duplicate(70000, $x) ++ [oops];
format(_, _) -> error(oops).

%% Nor is it taken for another copy of the library.
a_message_that_is_no_text(Config) ->
    Journal = proplists:get_value(journal, Config),
    ok = logger:set_handler_config(journal, formatter, {?MODULE, #{no_text => true}}),
    {_, Sink} = persistent_term:get({systemd_journal_config, journal}),
    logger:error("hello"),
    ?assertMatch({_, _}, binary:match(recorder:next(Journal), <<"FORMATTER ERROR: bad return value">>)),
    ?assertEqual({ok, Sink}, {ok, element(2, persistent_term:get({systemd_journal_config, journal}))}).

%% The thread of the copy before tells of it once more, and then that of the new one.
memory_pressure(_) ->
    Fifo = "/tmp/systemd-" ++ os:getpid() ++ "-pressure",
    "" = os:cmd("mkfifo " ++ Fifo),
    os:putenv("MEMORY_PRESSURE_WATCH", Fifo),
    application:set_env(systemd, memory_pressure, {erlang, send, [self(), pressure]}),
    ok = application:stop(systemd),
    ok = application:start(systemd),
    Pressed = fun() ->
        "" = os:cmd("printf some >" ++ Fifo),
        receive pressure -> ok after 8000 -> error(not_told) end,
        %% The pause between two calls.
        memory_pressure_SUITE:end_pause()
    end,
    Pressed(),
    with_copies(fun([Copy | _]) ->
        {module, systemd_nif} = load(Copy),
        [Pressed() || _ <- [1, 2, 3]],
        ?assertEqual(1, thread_counter:count("sd-pressure"))
    end),
    application:unset_env(systemd, memory_pressure),
    ok = file:delete(Fifo).

%% Nothing of a life of the application is left in the next one.
stopped_and_started(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Live = fun() ->
        ok = application:stop(systemd),
        ok = application:start(systemd),
        ok = await(Recorder, <<"WATCHDOG=1\n">>),
        _ = systemd:extend_timeout_while(fun() -> ok end),
        _ = recorder:all(Recorder)
    end,
    %% The same number of collections lies between any two looks at the memory: a heap may have another size
    %% after every second one.
    Grown = fun() ->
        %% A thread that has waited for the manager ends a second later.
        timer:sleep(1500),
        Before = {descriptors(), threads()},
        Memory = {erlang:memory(total), resident()},
        [Live() || _ <- lists:seq(1, 100)],
        timer:sleep(1500),
        ?assertEqual(Before, {descriptors(), threads()}),
        {(erlang:memory(total) - element(1, Memory)) div 100, (resident() - element(2, Memory)) div 100}
    end,
    %% The reports of each end, which the test's own log handler keeps, would count as left behind.
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, error),
    [Live() || _ <- lists:seq(1, 50)],
    %% What is left behind grows each time; what the allocators keep, now and then.
    Rounds = [Grown() || _ <- lists:seq(1, 3)],
    ok = logger:set_primary_config(level, Level),
    io:format(user, "~nbytes that a life of the application leaves behind, of the VM and resident: ~0p~n", [Rounds]),
    {Total, Resident} = lists:unzip(Rounds),
    ?assert(lists:min(Total) < 1000),
    ?assert(lists:min(Resident) < 4000).

resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, [1], list}]),
    1024 * list_to_integer(Kilobytes).

%% Notifications, watchdog and journal go on, and what was announced is known.
upgraded(Load, Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Journal = proplists:get_value(journal, Config),
    Announced = systemd_notify:has_announced(ready),
    Load(),
    ?assertMatch(#{error := false, journal := #{journal := #{reachable := true}}}, systemd:info()),
    ?assertEqual(Announced, systemd_notify:has_announced(ready)),
    ?assertNot(systemd_notify:has_announced(stopping)),
    Number = integer_to_list(erlang:unique_integer([positive])),
    ok = systemd:notify({status, Number}),
    ok = await(Recorder, list_to_binary("STATUS=" ++ Number ++ "\n")),
    _ = recorder:all(Recorder),
    ok = await(Recorder, <<"WATCHDOG=1\n">>),
    ?assertEqual(1000, systemd:watchdog(state)),
    ok = systemd:watchdog(disable),
    ?assertEqual(false, systemd:watchdog(state)),
    ok = systemd:watchdog(enable),
    logger:error("line ~s", [Number]),
    Line = list_to_binary("line " ++ Number),
    ?assertMatch([_], [Entry || Entry <- recorder:all(Journal), binary:match(Entry, Line) =/= nomatch]),
    #{config := #{path := Path}} = element(2, logger:get_handler_config(journal)),
    ?assertEqual(recorder:path(Journal), Path).

await(Recorder, Message) ->
    case recorder:next(Recorder) of
        Message -> ok;
        nothing -> {nothing, Message};
        <<"STATUS=watchdog", _/binary>> = Stall -> Stall;
        _ -> await(Recorder, Message)
    end.

%% What nobody refers to any more is gone.
collect() -> [erlang:garbage_collect(Pid) || Pid <- processes()].

descriptors() ->
    collect(),
    {ok, Descriptors} = file:list_dir("/proc/self/fd"),
    length(Descriptors).

threads() ->
    collect(),
    {ok, Threads} = file:list_dir("/proc/self/task"),
    length(Threads).
