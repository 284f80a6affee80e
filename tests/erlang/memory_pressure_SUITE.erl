%% Memory pressure, as a FIFO or a socket in the kernel's place tells of it.
-module(memory_pressure_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

-define(MIB, 1048576).

all() ->
    [
        calls_the_function, one_at_a_time, by_a_socket, collects_garbage, copies_no_large_heap_again,
        in_a_vm_that_counts_nothing,
        failures, hanging, off, cannot_be_opened, beside_the_manager, ends_with_its_owner
    ].

suite() -> [{timetrap, {minutes, 1}}].

init_per_testcase(collects_garbage, Config) -> vm_memory:counted(fun() -> prepare(Config) end);
init_per_testcase(_, Config) -> prepare(Config).

prepare(Config) ->
    log_counter:start(),
    application:load(systemd),
    Path = "/tmp/systemd-" ++ os:getpid() ++ "-pressure",
    "" = os:cmd("mkfifo " ++ Path),
    os:putenv("MEMORY_PRESSURE_WATCH", Path),
    [{path, Path} | Config].

end_per_testcase(_, Config) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ["MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"]],
    ok = file:delete(path(Config)),
    log_counter:stop().

path(Config) -> proplists:get_value(path, Config).

start(Function) ->
    application:set_env(systemd, memory_pressure, Function),
    ok = application:start(systemd).

press(Config) -> "" = os:cmd("printf some >" ++ path(Config)).

%% A function that says that it is called, and returns when it is told to.
telling() ->
    Self = self(),
    fun() -> Self ! {called, self()}, receive Answer -> Answer end end.

called() -> called(8000).

called(Millis) -> receive {called, Pid} -> Pid after Millis -> not_called end.

threads() -> thread_counter:count("sd-pressure").

wait(Fun) ->
    case Fun() of
        true -> ok;
        false -> timer:sleep(5), wait(Fun)
    end.

%% As after the 5 s, which one_at_a_time waits for.
end_pause() ->
    wait(fun() -> element(4, sys:get_state(systemd_memory_pressure)) =:= none end),
    systemd_memory_pressure ! done.

logged(Text) -> [Line || Line <- log_counter:messages(), string:find(Line, Text) =/= nomatch].

calls_the_function(Config) ->
    Self = self(),
    start({erlang, send, [Self, called]}),
    receive called -> error(no_pressure) after 200 -> ok end,
    press(Config),
    receive called -> ok after 2000 -> error(not_called) end,
    %% Child processes may watch too.
    ?assertEqual(path(Config), os:getenv("MEMORY_PRESSURE_WATCH")),
    ok = application:stop(systemd),
    wait(fun() -> threads() =:= 0 end),
    ok = application:start(systemd),
    press(Config),
    receive called -> ok after 2000 -> error(not_called) end,
    ?assertEqual([], log_counter:messages()).

%% What comes while it runs, and shortly afterwards, is one more call.
one_at_a_time(Config) ->
    start(telling()),
    press(Config),
    First = called(),
    [press(Config) || _ <- [1, 2, 3]],
    ?assertEqual(not_called, called(500)),
    First ! anything,
    Done = erlang:monotonic_time(millisecond),
    press(Config),
    Second = called(),
    ?assert(erlang:monotonic_time(millisecond) - Done >= 4900),
    Second ! ok,
    ?assertEqual(not_called, called(6000)),
    press(Config),
    ?assert(is_pid(called())).

by_a_socket(Config) ->
    Path = path(Config) ++ ".socket",
    {ok, Listen} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, binary, {active, false}]),
    os:putenv("MEMORY_PRESSURE_WATCH", Path),
    os:putenv("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA="),
    start(telling()),
    {ok, Socket} = gen_tcp:accept(Listen, 2000),
    ?assertEqual({ok, <<"some 200000 2000000", 0>>}, gen_tcp:recv(Socket, 20, 2000)),
    ok = gen_tcp:send(Socket, "pressure"),
    called() ! ok,
    end_pause(),
    ok = gen_tcp:close(Socket),
    wait(fun() -> logged("no longer watched: " ++ Path) =/= [] end),
    wait(fun() -> whereis(systemd_memory_pressure) =:= undefined andalso threads() =:= 0 end),
    ?assertEqual({error, timeout}, gen_tcp:accept(Listen, 200)),
    ok = gen_tcp:close(Listen),
    ok = file:delete(Path).

%% A process that has 8 MiB of garbage on its heap, and as much outside of it.
hoarder() ->
    Self = self(),
    Pid = spawn_opt(
        fun() ->
            {List, Binary} = {lists:seq(1, ?MIB div 2), binary:copy(<<0>>, 8 * ?MIB)},
            Self ! {self(), length(List), byte_size(Binary)},
            receive stop -> ok end
        end,
        [{min_bin_vheap_size, 2 * ?MIB}]
    ),
    receive {Pid, _, _} -> Pid end.

heaps(Pids) -> lists:sum([Bytes || Pid <- Pids, {memory, Bytes} <- [process_info(Pid, memory)]]).

collects_garbage(Config) ->
    start(undefined),
    Hoarders = [hoarder() || _ <- lists:seq(1, 5)],
    [true = erlang:garbage_collect(Pid) || Pid <- processes(), not lists:member(Pid, Hoarders)],
    Heaps = heaps(Hoarders),
    Binaries = erlang:memory(binary),
    Priority = trace_runner(),
    press(Config),
    wait(fun() -> logged("memory pressure: collected") =/= [] end),
    ?assertEqual(low, Priority()),
    FreedBinaries = (Binaries - erlang:memory(binary)) / ?MIB,
    FreedHeaps = (Heaps - heaps(Hoarders)) / ?MIB,
    [Line] = logged("memory pressure: collected"),
    {match, [Collected, Processes, Now, Before]} = re:run(
        Line, "collected (\\d+) of (\\d+) processes; the VM has (\\d+) MiB, (\\d+) MiB before",
        [{capture, all_but_first, list}]
    ),
    io:format(user, "~n~s; heaps ~.1f MiB less, binaries ~.1f MiB less~n", [Line, FreedHeaps, FreedBinaries]),
    ?assert(FreedBinaries > 5 * 7),
    ?assert(FreedHeaps > 5 * 7),
    ?assert(list_to_integer(Before) - list_to_integer(Now) > 5 * 14),
    ?assert(list_to_integer(Collected) >= 5),
    ?assert(list_to_integer(Collected) =< list_to_integer(Processes)),
    [exit(Pid, kill) || Pid <- Hoarders].

%% The priority of the process that the collection runs in.
trace_runner() ->
    Owner = whereis(systemd_memory_pressure),
    1 = erlang:trace(Owner, true, [procs]),
    fun() ->
        receive {trace, Owner, spawn, _, {systemd_function, watch, [_, _, Options, _]}} -> maps:get(priority, Options)
        after 0 -> none
        end
    end.

%% With its allocators switched off, a VM does not know what it has.
in_a_vm_that_counts_nothing(_) ->
    Path = filename:dirname(code:which(systemd_memory_pressure)),
    Eval = "application:start(systemd), systemd_memory_pressure:collect(), sys:get_state(systemd_log), init:stop().",
    Said = os:cmd("erl +Mea min -noinput -pa " ++ Path ++ " -eval '" ++ Eval ++ "'"),
    ?assertMatch({match, _}, re:run(Said, "collected \\d+ of \\d+ processes\\s*$"), Said).

%% The largest ones, and no more than a hundred; a second time only where there is garbage again.
copies_no_large_heap_again(_) ->
    start(false),
    Self = self(),
    Large = spawn(fun() ->
        List = lists:seq(1, ?MIB),
        Self ! built,
        receive stop -> length(List) end
    end),
    receive built -> ok end,
    Small = [small() || _ <- lists:seq(1, 300)],
    Collections = fun(Pids) ->
        [1 = erlang:trace(Pid, true, [garbage_collection]) || Pid <- Pids],
        ok = systemd_memory_pressure:collect(),
        [1 = erlang:trace(Pid, false, [garbage_collection]) || Pid <- Pids],
        [Pid || Pid <- Pids, receive {trace, Pid, gc_major_start, _} -> true after 0 -> false end]
    end,
    ?assertEqual([Large], Collections([Large])),
    ?assertEqual([], Collections([Large])),
    Chosen = length(Collections(Small)),
    ?assert(Chosen =< 100),
    %% Others of this VM may have more.
    ?assert(Chosen > 50),
    [exit(Pid, kill) || Pid <- [Large | Small]].

small() ->
    Self = self(),
    Pid = spawn_opt(
        fun() -> Self ! {self(), length(lists:seq(1, 1000))}, receive stop -> ok end end,
        [{min_heap_size, 5000}]
    ),
    receive {Pid, _} -> Pid end.

failures(Config) ->
    start({erlang, error, [oops]}),
    press(Config),
    wait(fun() -> logged("the function of memory_pressure raised error oops") =/= [] end),
    application:set_env(systemd, memory_pressure, fun() -> exit(self(), kill) end),
    end_pause(),
    press(Config),
    wait(fun() -> logged("was ended by an exit signal: killed") =/= [] end),
    application:set_env(systemd, memory_pressure, 7),
    end_pause(),
    press(Config),
    wait(fun() -> logged("can't be called: 7 is neither") =/= [] end),
    %% What goes on with one function is logged once.
    application:set_env(systemd, memory_pressure, telling()),
    [begin end_pause(), press(Config), exit(called(), kill) end || _ <- [1, 2]],
    end_pause(),
    press(Config),
    ?assert(is_pid(called())),
    ?assertEqual(4, length(log_counter:messages())).

hanging(Config) ->
    start(telling()),
    press(Config),
    Runner = called(),
    Monitor = monitor(process, Runner),
    press(Config),
    wait(fun() -> logged("the function of memory_pressure has not returned after 10000 ms") =/= [] end),
    ?assertEqual(not_called, called(0)),
    ?assertEqual(1, length(log_counter:messages())),
    ok = application:stop(systemd),
    receive {'DOWN', Monitor, process, Runner, Reason} -> ?assertEqual(killed, Reason) end,
    wait(fun() -> threads() =:= 0 end).

off(_) ->
    Off = fun() ->
        ok = application:start(systemd),
        ?assertEqual([], supervisor:which_children(systemd_sup)),
        ok = application:stop(systemd)
    end,
    application:set_env(systemd, memory_pressure, false),
    Off(),
    application:unset_env(systemd, memory_pressure),
    [begin os:putenv("MEMORY_PRESSURE_WATCH", Path), Off() end || Path <- ["/dev/null", ""]],
    os:unsetenv("MEMORY_PRESSURE_WATCH"),
    Off(),
    ?assertEqual([], log_counter:messages()).

cannot_be_opened(Config) ->
    [
        begin
            os:putenv("MEMORY_PRESSURE_WATCH", Path),
            os:putenv("MEMORY_PRESSURE_WRITE", Data),
            Before = length(log_counter:messages()),
            ok = application:start(systemd),
            wait(fun() -> whereis(systemd_memory_pressure) =:= undefined end),
            ?assertEqual(Before + 1, length(log_counter:messages())),
            Line = lists:last(log_counter:messages()),
            ?assertNotEqual(nomatch, string:find(Line, "MEMORY_PRESSURE_WATCH=" ++ Path ++ ": " ++ Why)),
            ?assertNotEqual(nomatch, string:find(Line, "MemoryPressureWatch=")),
            ok = application:stop(systemd)
        end
     || {Path, Data, Why} <- [
            {"/nonexistent/pressure", "", "no such file or directory (enoent)"},
            {"pressure", "", "it is not a kernel file"},
            {"/etc/passwd", "", "it is not a kernel file"},
            {"/dev/zero", "", "it is not a kernel file"},
            {path(Config), "?", "MEMORY_PRESSURE_WRITE is not valid Base64"}
        ]
    ].

%% As one child among those of a notifying service, in another VM, also after a restart in place.
beside_the_manager(Config) ->
    Recorder = recorder:start(),
    Service = service:start(Recorder,
        "begin application:set_env(systemd, memory_pressure, {systemd, notify, [{status, \"short\"}]}), ready end"
    ),
    Short = fun() ->
        ?assertEqual(<<"READY=1\n">>, service:next(Recorder)),
        press(Config),
        ?assertEqual(<<"STATUS=short\n">>, service:next(Recorder))
    end,
    Short(),
    service:eval(Service, "systemd:reload()"),
    ?assertMatch(<<"RELOADING=1\n", _/binary>>, service:next(Recorder)),
    Short(),
    service:stop(Service),
    recorder:stop(Recorder).

%% The resource lives on in this process, and its thread ends all the same.
ends_with_its_owner(Config) ->
    Self = self(),
    Owner = spawn(fun() ->
        {ok, Watch} = systemd_nif:memory_pressure_start(list_to_binary(path(Config)), <<>>),
        Self ! {watch, Watch},
        receive stop -> ok end
    end),
    Watch = receive {watch, Started} -> Started end,
    wait(fun() -> threads() =:= 1 end),
    Owner ! stop,
    wait(fun() -> threads() =:= 0 end),
    ?assertEqual(ok, systemd_nif:memory_pressure_done(Watch)).
