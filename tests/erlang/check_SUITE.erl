%% The ready-made checks of the watchdog.
-module(check_SUITE).
-behaviour(supervisor).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        schedulers_that_run, a_blocked_scheduler, busy_pools, a_busy_vm, blocked_multi_scheduling,
        a_place_that_goes_offline, run_queue, memory_in_bytes, memory_of_the_unit,
        process, process_elsewhere, mailbox, supervisor, supervisor_of_a_template, no_supervisor,
        functions, all_of_them, any_of_them, every, timeout, timeout_ends_with_the_runner, says_what_it_looks_at,
        no_checks, constructors
    ].

suite() -> [{timetrap, {minutes, 1}}].

%% live_block, as the live tests have it: a NIF that blocks its scheduler.
init_per_suite(Config) ->
    Folder = proplists:get_value(priv_dir, Config),
    Source = filename:join(filename:dirname(?FILE), "../live/service/live_block"),
    [Ebin, Priv] = [filename:join(Folder, Name) || Name <- ["ebin", "priv"]],
    ok = filelib:ensure_dir(filename:join(Ebin, "file")),
    ok = filelib:ensure_dir(filename:join(Priv, "file")),
    Include = filename:join(code:root_dir(), "usr/include"),
    "" = os:cmd(lists:join(" ", ["gcc -shared -fPIC -I", Include, Source ++ ".c -o", Priv ++ "/live_block.so"])),
    {ok, live_block} = compile:file(Source ++ ".erl", [{outdir, Ebin}]),
    true = code:add_patha(Ebin),
    {module, live_block} = code:load_file(live_block),
    %% The first call after the load may have to wait for the end of that.
    ok = live_block:block(0),
    Config.

end_per_suite(Config) ->
    true = code:del_path(filename:join(proplists:get_value(priv_dir, Config), "ebin")),
    %% Another suite loads it from elsewhere.
    true = code:delete(live_block),
    _ = code:purge(live_block),
    ok.

%% Each restart that fails would be a report.
init_per_testcase(_, Config) ->
    #{level := Level} = logger:get_primary_config(),
    logger:set_primary_config(level, none),
    [{level, Level} | Config].

end_per_testcase(_, Config) -> logger:set_primary_config(level, proplists:get_value(level, Config)).

run(Check) -> run(Check, table()).

run(Check, Table) -> text(checked(Check, Table)).

checked(Check, Table) -> systemd_check_run:run(systemd_check_run:prepare(Check), Table, fun(_) -> ok end).

%% What checks remember.
table() -> ets:new(state, [public, {keypos, 2}]).

remembered(Table) -> [Check || {state, Check, _} <- ets:tab2list(Table)].

text(true) -> true;
text({failed, _, Text, _}) -> unicode:characters_to_list(Text).

text_of(true) -> "";
text_of(Text) -> Text.

key(Check) ->
    {failed, Key, _, _} = checked(Check, table()),
    Key.

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(5), wait(Fun)
    end.

%% Evaluates it on the first scheduler, and lets nothing else have it.
on_the_first(Fun) ->
    {Pid, Monitor} = spawn_opt(fun() -> exit({result, Fun()}) end, [monitor, {scheduler, 1}, {priority, high}]),
    receive {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

%% Returns when the last scheduler runs nothing else any more.
block(Millis) ->
    Self = self(),
    Last = erlang:system_info(schedulers_online),
    ?assert(Last > 1),
    Pid = spawn_opt(
        fun() -> Self ! {blocks, self()}, live_block:block(Millis), Self ! {blocked, self()} end,
        [{scheduler, Last}]
    ),
    receive {blocks, Pid} -> {Pid, Last} end.

blocked({Pid, _}) -> receive {blocked, Pid} -> ok end.

schedulers_that_run(_) ->
    Table = table(),
    ?assertEqual([true, true], [run({schedulers, 5000}, Table) || _ <- [1, 2]]),
    ?assertEqual([], remembered(Table)).

a_blocked_scheduler(_) ->
    on_the_first(fun() ->
        Check = {schedulers, 50},
        Before = processes(),
        {_, Last} = Block = block(1000),
        Table = table(),
        First = run(Check, Table),
        %% The same one waits, and nobody waits for it in vain a second time.
        [Blocker, Job] = lists:sort(processes() -- Before),
        ?assertMatch([{state, {_, Last}, {Job, _}}], ets:tab2list(Table)),
        {Micros, Second} = timer:tc(fun() -> run(Check, Table) end),
        ?assert(Micros < 50000),
        %% Nor where that ends before.
        Third = run({timeout, 10000, Check}, Table),
        _ = [run({timeout, 1, {schedulers, 1000}}, Table) || _ <- lists:seq(1, 20)],
        wait(fun() -> lists:sort(processes() -- Before) =:= [Blocker, Job] end),
        Times = [millis(Text, "schedulers: scheduler ~b has", [Last]) || Text <- [First, Second, Third]],
        ?assertEqual(lists:sort(Times), Times),
        ?assert(hd(Times) >= 50),
        blocked(Block),
        ?assertEqual(true, run(Check, Table)),
        ?assertEqual([], remembered(Table))
    end).

%% How long it says that they have not run anything.
millis(Text, Format, Args) ->
    Head = lists:flatten(io_lib:format(Format ++ " not run anything for ", Args)),
    {match, [Millis]} = re:run(Text, ["^", Head, "(\\d+) ms$"], [{capture, all_but_first, list}]),
    list_to_integer(Millis).

busy_pools(_) ->
    Check = {schedulers, 50},
    Busy = fun(Function, Count) ->
        [spawn_monitor(erts_debug, Function, [wait, 500]) || _ <- lists:seq(1, Count)]
    end,
    Over = fun(Jobs) -> [receive {'DOWN', Monitor, _, _, _} -> ok end || {_, Monitor} <- Jobs] end,
    Cpu = Busy(dirty_cpu, erlang:system_info(dirty_cpu_schedulers_online)),
    wait(fun() -> run(Check) =/= true end),
    millis(run(Check), "schedulers: the dirty CPU pool has", []),
    Over(Cpu),
    ?assertEqual(true, run(Check)),
    Both = Busy(dirty_cpu, erlang:system_info(dirty_cpu_schedulers_online)) ++
        Busy(dirty_io, erlang:system_info(dirty_io_schedulers)),
    wait(fun() -> string:prefix(text_of(run(Check)), "schedulers: the dirty CPU pool, the dirty IO pool have") =/= nomatch end),
    Over(Both),
    ?assertEqual(true, run(Check)).

a_busy_vm(_) ->
    process_flag(priority, high),
    Busy = [spawn(fun Loop() -> Loop() end) || _ <- lists:seq(1, 20000)],
    Results = [run({schedulers, 500}) || _ <- lists:seq(1, 10)],
    Queue = run({run_queue, 10000}),
    [exit(Pid, kill) || Pid <- Busy],
    ?assertEqual(lists:duplicate(10, true), Results),
    ?assertMatch("run_queue " ++ _, Queue).

blocked_multi_scheduling(_) ->
    [
        begin
            erlang:system_flag(multi_scheduling, Block),
            try ?assertEqual(true, run({schedulers, 50}))
            after erlang:system_flag(multi_scheduling, Unblock)
            end
        end
     || {Block, Unblock} <- [{block, unblock}, {block_normal, unblock_normal}]
    ],
    erlang:system_flag(schedulers_online, 1),
    try ?assertEqual(true, run({schedulers, 50}))
    after erlang:system_flag(schedulers_online, erlang:system_info(schedulers))
    end.

a_place_that_goes_offline(_) ->
    Job = spawn(fun() -> receive stop -> ok end end),
    Table = table(),
    ets:insert(Table, {state, {systemd_check_schedulers, dirty_io}, {Job, erlang:monotonic_time(millisecond)}}),
    ?assertMatch([_ | _], systemd_check_schedulers:run(50, Table)),
    Self = self(),
    spawn_link(fun() -> Self ! {ran, systemd_check_schedulers:run(500, Table)} end),
    erlang:system_flag(multi_scheduling, block),
    ?assertEqual(true, receive {ran, Ran} -> Ran end),
    erlang:system_flag(multi_scheduling, unblock),
    Job ! stop.

run_queue(_) ->
    Busy = [spawn(fun Loop() -> Loop() end) || _ <- lists:seq(1, 200)],
    Failed = run({run_queue, 100}),
    [exit(Pid, kill) || Pid <- Busy],
    {match, [Length]} = re:run(Failed, "^run_queue (\\d+) > 100$", [{capture, all_but_first, list}]),
    ?assert(list_to_integer(Length) > 100),
    ?assertEqual({run_queue, 0}, key([{run_queue, 0}])),
    wait(fun() -> run({run_queue, 100}) =:= true end).

memory_in_bytes(_) ->
    [?assertEqual(true, run({memory, Bytes})) || Bytes <- [1 bsl 40, 1 bsl 70]],
    Resident = fun() ->
        {match, [MiB]} = re:run(
            run({memory, 1 bsl 20}), "^memory (\\d+\\.\\d) MiB > 1.0 MiB$", [{capture, all_but_first, list}]
        ),
        list_to_float(MiB) * (1 bsl 20)
    end,
    Before = Resident(),
    Binary = binary:copy(<<0:8192>>, 64 * 1024),
    ?assert(Resident() - Before > byte_size(Binary) div 2),
    ?assertEqual(64 bsl 20, byte_size(Binary)).

%% Such as where the tests run; or else the limit is far away.
memory_of_the_unit(_) ->
    log_counter:start(),
    logger:set_primary_config(level, notice),
    os:putenv("NOTIFY_SOCKET", "/none"),
    ok = application:start(systemd),
    Table = table(),
    ?assertEqual([true, true], [run({memory, 1.0}, Table) || _ <- [1, 2]]),
    Told = [Text || "systemd: watchdog_check has {memory,1.0}" ++ _ = Text <- log_counter:messages()],
    ok = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    log_counter:stop(),
    case systemd_nif:memory(1.0) of
        unknown ->
            ?assertMatch([_], Told);
        true ->
            ?assertEqual([], Told),
            ?assertMatch("memory " ++ _, run({memory, 1.0e-9}))
    end.

%% A gen_server of many kinds.
init({supervisor, Flags, Children}) -> {ok, {Flags, Children}};
init(State) -> {ok, State}.

handle_call(stay, From, State) ->
    gen_server:reply(From, ok),
    receive go_on -> {noreply, State} end;
handle_call(_, _, State) -> {reply, State, State}.

handle_cast(_, State) -> {noreply, State}.

server(Name) ->
    {ok, Pid} = gen_server:start(Name, ?MODULE, ok, []),
    Pid.

process(_) ->
    ?assertEqual("process check_server is not registered", run({process, check_server})),
    Pid = server({local, check_server}),
    server({global, {check, 1}}),
    Registered = [check_server, Pid, {global, {check, 1}}, {via, global, {check, 1}}],
    [?assertEqual({Name, true}, {Name, run({process, Name})}) || Name <- Registered],
    [?assertEqual(true, run({process, Name})) || Name <- [kernel_sup, logger, file_server_2]],
    ok = gen_server:call(Pid, stay),
    ?assertEqual("process check_server has not answered within 1000 ms", run({process, check_server})),
    ok = gen_server:call({global, {check, 1}}, stay),
    {Micros, Late} = timer:tc(fun() -> run({timeout, 10, {process, {global, {check, 1}}}}) end),
    ?assertEqual("process {global,{check,1}} has not answered within 10 ms", Late),
    ?assert(Micros < 1000000),
    ?assertEqual({process, check_server}, key({timeout, 5000, [{timeout, 1, {process, check_server}}]})),
    Pid ! go_on,
    ?assertEqual(true, run({process, check_server})),
    gen_server:stop(Pid),
    ?assertEqual(lists:flatten(io_lib:format("process ~p has ended", [Pid])), run({process, Pid})),
    ?assertEqual("process {via,no_module,x} is not registered", run({process, {via, no_module, x}})),
    ?assertEqual("process MyApp.Repo is not registered", run({process, 'Elixir.MyApp.Repo'})).

process_elsewhere(_) ->
    %% NEW_PID_EXT, of a node that was never seen.
    Pid = binary_to_term(<<131, 88, 119, 3, "x@y", 1:32, 0:32, 1:32>>),
    ?assertNotEqual(node(), node(Pid)),
    [?assertEqual(true, run(Check)) || Check <- [{process, Pid}, {mailbox, Pid, 0}, {supervisor, Pid}]].

mailbox(_) ->
    Pid = spawn(fun() -> receive stop -> ok end end),
    register(check_mailbox, Pid),
    [Pid ! message || _ <- lists:seq(1, 11)],
    ?assertEqual(true, run({mailbox, check_mailbox, 11})),
    ?assertEqual("mailbox check_mailbox 11 > 10", run({mailbox, check_mailbox, 10})),
    Monitor = monitor(process, Pid),
    Pid ! stop,
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    ?assertEqual("mailbox check_mailbox is not registered", run({mailbox, check_mailbox, 11})),
    ?assertEqual(lists:flatten(io_lib:format("mailbox ~p has ended", [Pid])), run({mailbox, Pid, 11})),
    %% One that is in native code tells nothing.
    Test = self(),
    _ = process_flag(scheduler, 1),
    Block = fun() -> Test ! blocks, live_block:block(300) end,
    Blocked = spawn_opt(Block, [{scheduler, erlang:system_info(schedulers_online)}]),
    receive blocks -> ok end,
    ?assertEqual(
        lists:flatten(io_lib:format("mailbox ~p has not answered within 50 ms", [Blocked])),
        run({timeout, 50, {mailbox, Blocked, 11}})
    ).

%% A child that can be told whether to start.
start_child(Key) ->
    case persistent_term:get({?MODULE, Key}) of
        start -> {ok, spawn_link(fun() -> receive stop -> exit(crash) end end)};
        Other -> Other
    end.

child(Key) -> #{id => Key, start => {?MODULE, start_child, [Key]}}.

supervise(Flags, Children) ->
    {ok, Supervisor} = supervisor:start_link({local, check_sup}, ?MODULE, {supervisor, Flags, Children}),
    Supervisor.

take_down(Supervisor) ->
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

supervisor(_) ->
    [persistent_term:put({?MODULE, Key}, start) || Key <- [one, two]],
    persistent_term:put({?MODULE, ignored}, ignore),
    Children = [child(one), child(two), (child(ignored))#{restart => transient}],
    Supervisor = supervise(#{intensity => 1000000, period => 1}, Children),
    ?assertEqual(true, run({supervisor, check_sup})),
    %% Each restart fails, and is tried again.
    persistent_term:put({?MODULE, two}, {error, no}),
    {two, Two, _, _} = lists:keyfind(two, 1, supervisor:which_children(Supervisor)),
    Two ! stop,
    wait(fun() -> run({supervisor, check_sup}) =/= true end),
    ?assertEqual("supervisor check_sup: child two is not up", run({supervisor, check_sup})),
    ?assertEqual({supervisor, check_sup}, key({timeout, 500, {supervisor, check_sup}})),
    persistent_term:put({?MODULE, two}, start),
    wait(fun() -> run({supervisor, check_sup}) =:= true end),
    ok = supervisor:terminate_child(Supervisor, one),
    ?assertEqual(true, run({supervisor, check_sup})),
    sys:suspend(Supervisor),
    ?assertEqual(
        "supervisor check_sup has not answered within 20 ms", run({timeout, 20, {supervisor, check_sup}})
    ),
    sys:resume(Supervisor),
    take_down(Supervisor),
    ?assertEqual("supervisor check_sup is not registered", run({supervisor, check_sup})).

supervisor_of_a_template(_) ->
    persistent_term:put({?MODULE, one}, start),
    Flags = #{strategy => simple_one_for_one, intensity => 1000000, period => 1},
    Supervisor = supervise(Flags, [child(one)]),
    ?assertEqual(true, run({supervisor, check_sup})),
    [Pid | _] = [element(2, supervisor:start_child(Supervisor, [])) || _ <- lists:seq(1, 3)],
    ?assertEqual(true, run({supervisor, check_sup})),
    persistent_term:put({?MODULE, one}, {error, no}),
    Pid ! stop,
    wait(fun() -> run({supervisor, check_sup}) =/= true end),
    ?assertEqual("supervisor check_sup: 1 of 3 children are not up", run({supervisor, check_sup})),
    take_down(Supervisor).

no_supervisor(_) ->
    Pid = server({local, check_server}),
    ?assertEqual("supervisor check_server is no supervisor", run({supervisor, check_server})),
    gen_server:stop(Pid).

functions(_) ->
    ?assertEqual(true, run({erlang, is_atom, [a]})),
    ?assertEqual(true, run(fun() -> true end)),
    ?assertEqual("erlang:is_atom/1 returned false", run({erlang, is_atom, [1]})),
    ?assertEqual("check_SUITE:seven/0 returned what is neither true nor false, see the log", run(fun ?MODULE:seven/0)),
    ?assertEqual({?MODULE, seven, []}, key([[{?MODULE, seven, []}]])),
    ?assertEqual(
        "MyApp.Health.well?/1 raised error undef, see the log", run({'Elixir.MyApp.Health', 'well?', [1]})
    ),
    Local = fun() -> exit(enough) end,
    ?assertEqual(
        lists:flatten(io_lib:format("~p raised exit enough, see the log", [Local])), run(Local)
    ),
    %% What may be long, or secret, has no place in the status.
    [
        ?assertMatch({_, nomatch}, {Thrown, string:find(run(fun() -> throw(Thrown) end), "secret")})
     || Thrown <- ["secret", <<"secret\n">>, {a, "secret"}, #{a => secret}]
    ].

seven() -> 7.

%% One that counts how often it is run, and passes or not.
counting(Passes) ->
    Counter = counters:new(1, []),
    {fun() -> counters:add(Counter, 1, 1), Passes end, fun() -> counters:get(Counter, 1) end}.

all_of_them(_) ->
    {Passes, _} = counting(true),
    {Fails, _} = counting(false),
    {Last, Runs} = counting(true),
    ?assertEqual(true, run([])),
    ?assertEqual(true, run(systemd_check:all([Passes, [Passes, {all, [Passes]}]]))),
    ?assertEqual(Fails, key({all, [Passes, [Passes, Fails], Last]})),
    ?assertEqual(0, Runs()),
    ?assertEqual(true, run([Passes, Last])),
    ?assertEqual(1, Runs()).

any_of_them(_) ->
    {Fails, _} = counting(false),
    {Passes, _} = counting(true),
    {Last, Runs} = counting(true),
    ?assertEqual(true, run(systemd_check:any([Fails, Passes, Last]))),
    ?assertEqual(0, Runs()),
    Failing = {any, [{process, a}, [{process, b}, Passes]]},
    ?assertEqual("process a is not registered; process b is not registered", run(Failing)),
    ?assertEqual({any, [{process, a}, {process, b}]}, key(Failing)),
    %% What one of them remembers is kept when another one fails.
    Table = table(),
    _ = run({any, [[{every, 100000, Passes}, Fails], {process, a}]}, Table),
    ?assertEqual([{every, 100000, Passes}], remembered(Table)).

every(_) ->
    {Passes, Runs} = counting(true),
    Rare = {every, 3600000, Passes},
    Table = table(),
    ?assertEqual([true, true], [run([Rare], Table) || _ <- [1, 2]]),
    ?assertEqual(1, Runs()),
    true = run([Rare]),
    ?assertEqual(2, Runs()),
    %% What has failed is asked again: a watchdog waits for it.
    {Fails, Failures} = counting(false),
    _ = [run({every, 3600000, Fails}, Table) || _ <- [1, 2]],
    ?assertEqual(2, Failures()),
    {Often, Again} = counting(true),
    Start = erlang:monotonic_time(millisecond),
    often({every, 20, Often}, Again, Table),
    ?assert(erlang:monotonic_time(millisecond) - Start >= 2 * 20),
    %% Two of them don't share what they remember.
    ?assertEqual({process, a}, key([{every, 9, Often}, {every, 9, {process, a}}])).

often(Check, Runs, Table) ->
    true = run(Check, Table),
    Runs() =:= 3 orelse often(Check, Runs, Table).

timeout(_) ->
    Self = self(),
    Hangs = fun() -> Self ! {hangs, self()}, receive go_on -> true end end,
    {Passes, _} = counting(true),
    Check = {timeout, 50, [Passes, Hangs]},
    Name = lists:flatten(io_lib:format("~p", [Hangs])),
    ?assertEqual(Name ++ " has not returned within 50 ms", run(Check)),
    Pid = receive {hangs, Hanging} -> Hanging end,
    wait(fun() -> not is_process_alive(Pid) end),
    ?assertEqual(key(Check), key(Check)),
    ?assertEqual(true, run({any, [Check, Passes]})),
    Table = table(),
    ?assertEqual(true, run({timeout, 5000, Passes}, Table)),
    ?assertEqual(true, run({timeout, 5000, {every, 5000, Passes}}, Table)),
    ?assertEqual([{every, 5000, Passes}], remembered(Table)),
    ?assertEqual("erlang:is_atom/1 returned false", run({timeout, 5000, {timeout, 5000, {erlang, is_atom, [1]}}})),
    ?assertEqual(Name ++ " has not returned within 10 ms", run({timeout, 5000, {timeout, 10, Hangs}})),
    ?assertEqual(Name ++ " has not returned within 10 ms", run({timeout, 10, {timeout, 5000, Hangs}})).

timeout_ends_with_the_runner(_) ->
    Self = self(),
    Hangs = fun() -> Self ! {hangs, self()}, receive go_on -> true end end,
    Runner = spawn(fun() -> run({timeout, 60000, Hangs}) end),
    Monitor = monitor(process, receive {hangs, Pid} -> Pid end),
    exit(Runner, kill),
    receive {'DOWN', Monitor, _, _, Reason} -> ?assertEqual(killed, Reason) end.

says_what_it_looks_at(_) ->
    Self = self(),
    Say = fun(What) -> Self ! {looks_at, unicode:characters_to_list(What)} end,
    Table = table(),
    true = systemd_check_run:run(
        [
            {schedulers, 5000}, {timeout, 5000, [{run_queue, 1 bsl 40}, {every, 60000, {memory, 1 bsl 50}}]},
            {any, [{process, a}, {process, kernel_sup}]}, {supervisor, kernel_sup}, {mailbox, self(), 1 bsl 40},
            {erlang, is_atom, [a]}
        ],
        Table,
        Say
    ),
    Looks = fun Looks() -> receive {looks_at, What} -> [What | Looks()] after 0 -> [] end end,
    ?assertEqual(
        [
            "schedulers", "run_queue", "memory", "process a", "process kernel_sup", "supervisor kernel_sup",
            lists:flatten(io_lib:format("mailbox ~p", [self()])), "erlang:is_atom/1"
        ],
        Looks()
    ),
    true = systemd_check_run:run({every, 60000, {memory, 1 bsl 50}}, Table, Say),
    ?assertEqual([], Looks()).

no_checks(_) ->
    Garbage = "is neither a check, {M, F, A} nor fun/0",
    Millis = "needs a positive integer of milliseconds",
    Unary = fun(X) -> X end,
    [
        begin
            Text = lists:flatten(io_lib:format("can't be called: watchdog_check has ~0tp, which ~ts", [Part, Fault])),
            ?assertEqual({Check, {false, Text}}, {Check, {systemd_check:is_check(Check), run(Check)}}),
            ?assertEqual(Part, key([Check])),
            ?assertNot(systemd_check:is_check({every, 1, {any, [{all, [Check]}]}}))
        end
     || {Check, Part, Fault} <- [
            {foo, foo, Garbage},
            {{no, list}, {no, list}, Garbage},
            {{a, b, [c | d]}, {a, b, [c | d]}, Garbage},
            {Unary, Unary, Garbage},
            {[{process, a} | b], b, "is not a list of checks"},
            {{all, {process, a}}, {all, {process, a}}, "needs a list of checks"},
            {{any, []}, {any, []}, "needs a list of at least one check"},
            {{schedulers, 0}, {schedulers, 0}, Millis},
            {{every, 1.0, []}, {every, 1.0, []}, Millis},
            {{timeout, infinity, []}, {timeout, infinity, []}, Millis},
            {{timeout, 1 bsl 32, []}, {timeout, 1 bsl 32, []}, Millis},
            {{every, 5, [{run_queue, foo}]}, {run_queue, foo}, "needs an integer of at least 0"},
            {{memory, 0}, {memory, 0}, "needs a number of bytes, or a float of at most 1.0"},
            {{memory, 1.5}, {memory, 1.5}, "needs a number of bytes, or a float of at most 1.0"},
            {{mailbox, a, -1}, {mailbox, a, -1}, "needs an integer of at least 0"},
            {{mailbox, "a", 1}, {mailbox, "a", 1}, "needs a registered name or a pid"},
            {{process, {a, node()}}, {process, {a, node()}}, "needs a registered name or a pid"},
            {{supervisor, {via, 1, a}}, {supervisor, {via, 1, a}}, "needs a registered name or a pid"}
        ]
    ].

constructors(_) ->
    Checks = [
        {schedulers, 1}, {run_queue, 2}, {memory, 0.5}, {process, a}, {mailbox, {global, a}, 3}, {supervisor, a},
        {every, 4, {process, a}}, {timeout, 5, {process, a}}, {all, []}, {any, [{process, a}]}
    ],
    [
        begin
            [Name | Args] = tuple_to_list(Check),
            ?assertEqual(Check, apply(systemd_check, Name, Args)),
            ?assert(systemd_check:is_check(Check))
        end
     || Check <- Checks
    ].
