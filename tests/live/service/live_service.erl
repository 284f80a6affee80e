%% A service for the lab. `erl -s live_service start FILE' runs the children that FILE lists.
-module(live_service).
-behaviour(application).
-behaviour(supervisor).


-export([start/1, start/2, stop/1, init/1, handle_call/3, handle_cast/2]).
-export([child/1, block/1, block_another/1, busy/1, hoard/1, reload/2, ask/2, 'registered?'/1]).

%% FILE holds `{env, [{Key, Value}]}' for the application systemd, `{children, [Child]}', and
%% `{control, Path}': a socket that evaluates expressions.
start([File]) ->
    {ok, Config} = file:consult(File),
    hold_up(file:read_file(atom_to_list(File) ++ ".slow")),
    spawn(fun() -> control(proplists:get_value(control, Config)) end),
    _ = application:load(systemd),
    [application:set_env(systemd, Key, Value) || {Key, Value} <- proplists:get_value(env, Config, [])],
    application:load(
        {application, live, [
            {applications, [kernel, stdlib, systemd]},
            {mod, {?MODULE, proplists:get_value(children, Config, [])}}
        ]}
    ),
    {ok, _} = application:ensure_all_started(live, permanent).

hold_up({error, enoent}) -> ok;
hold_up({ok, Millis}) -> timer:sleep(binary_to_integer(Millis)).

start(_Type, Children) -> supervisor:start_link({local, live_sup}, ?MODULE, Children).

stop(_) -> ok.

init(crasher) -> {ok, 1};
init(other_sup) -> {ok, {#{intensity => 1 bsl 32}, [spec({named, other})]}};
init(Children) -> {ok, {#{}, [spec(Child) || Child <- Children]}}.

%% A server that can be made to crash.
handle_call(_, _, State) -> {reply, ok, State}.

handle_cast({divide, By}, State) -> {noreply, State div By}.

spec(ready) -> systemd:ready();
spec({ready, Status}) -> systemd:ready(Status);
spec({set_status, Statuses}) -> systemd:set_status(Statuses);
spec({status_every, Millis, Function}) -> systemd:status_every(Millis, Function);
spec({drainer, Listeners, Options}) -> systemd:drainer(Listeners, Options);
spec({extend_while_stopping, Options}) -> systemd:extend_timeout_while_stopping(Options);
spec({drain, infinity} = Child) ->
    #{id => Child, start => {?MODULE, child, [Child]}, shutdown => infinity};
spec({drain_extended, _, _} = Child) ->
    #{id => Child, start => {?MODULE, child, [Child]}, shutdown => infinity};
spec({named, Name} = Child) ->
    #{id => Name, start => {?MODULE, child, [Child]}};
spec({module, Module}) -> Module:child_spec();
spec({answer, Name}) ->
    #{id => Name, start => {live_sockets, start_link, [Name]}, shutdown => brutal_kill};
spec(Child) ->
    #{id => Child, start => {?MODULE, child, [Child]}, shutdown => 30000}.

%% {run, Expressions}: these, and no process. {sleep, Millis}: takes so long to start. {named, Name}: is there under that name.
%% {sleep_extended, Millis, Options}, {drain_extended, Millis, Options}: the same with more time.
%% {drain, Millis}: takes so long to end. {connections, Path}: a server that ends when the last client has gone.
child({run, Expressions}) ->
    _ = value(Expressions),
    ignore;
child({sleep, Millis}) ->
    timer:sleep(Millis),
    ignore;
child({sleep_extended, Millis, Options}) ->
    systemd:extend_timeout_while(fun() -> timer:sleep(Millis) end, Options),
    ignore;
child({drain_extended, Millis, Options}) ->
    Drain = fun() -> timer:sleep(Millis) end,
    idle(fun() -> ok end, fun() -> systemd:extend_timeout_while(Drain, Options) end);
child({named, Name}) ->
    %% Not as fast as it can: each try is a report.
    persistent_term:get(restart_in_vain, false) andalso begin timer:sleep(200), error(in_vain) end,
    idle(fun() -> register(Name, self()) end, fun() -> ok end);
child({drain, Millis}) ->
    idle(fun() -> ok end, fun() -> timer:sleep(Millis) end);
child({connections, Path}) ->
    idle(
        fun() ->
            {ok, Listen} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, {active, false}]),
            Server = self(),
            spawn_link(fun() -> accept(Listen, Server) end)
        end,
        fun Drain() ->
            case get_open() of
                0 -> ok;
                _ -> receive {'DOWN', _, _, _, _} -> put(open, get_open() - 1), Drain() end
            end
        end
    ).

get_open() ->
    receive {open, Pid} -> monitor(process, Pid), put(open, get_open() + 1)
    after 0 -> case get(open) of undefined -> 0; N -> N end
    end.

accept(Listen, Server) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() ->
        receive go -> ok end,
        {error, closed} = gen_tcp:recv(Socket, 0)
    end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Server ! {open, Pid},
    Pid ! go,
    gen_tcp:send(Socket, "open\n"),
    accept(Listen, Server).

idle(Up, Down) ->
    proc_lib:start_link(erlang, apply, [
        fun() ->
            process_flag(trap_exit, true),
            Up(),
            proc_lib:init_ack({ok, self()}),
            [Parent | _] = get('$ancestors'),
            Supervisor = whereis_or_pid(Parent),
            receive {'EXIT', Supervisor, _} -> Down() end
        end,
        []
    ]).

whereis_or_pid(Pid) when is_pid(Pid) -> Pid;
whereis_or_pid(Name) -> whereis(Name).

'registered?'(Name) -> is_pid(whereis(Name)).

%% A reload that takes so long, and leaves a trace of when it began and ended.
reload(Trace, Millis) ->
    ok = file:write_file(Trace, "begin\n", [append]),
    timer:sleep(Millis),
    ok = file:write_file(Trace, "end\n", [append]).

%% Blocks every scheduler, once.
block(Millis) ->
    {module, _} = code:ensure_loaded(live_block),
    [
        spawn_opt(live_block, block, [Millis], [{scheduler, Scheduler}])
     || Scheduler <- lists:seq(1, erlang:system_info(schedulers_online))
    ].

%% Blocks one scheduler, which is not that of the watchdog's process.
block_another(Millis) ->
    {module, _} = code:ensure_loaded(live_block),
    Self = self(),
    sys:replace_state(systemd_watchdog, fun(State) ->
        Its = erlang:system_info(scheduler_id),
        %% Bound to it, by what OTP's own tests use.
        _ = process_flag(scheduler, Its),
        Self ! {scheduler, Its},
        State
    end),
    receive {scheduler, Its} -> ok end,
    [Other | _] = lists:delete(Its, lists:seq(1, erlang:system_info(schedulers_online))),
    spawn_opt(live_block, block, [Millis], [{scheduler, Other}]).

%% As many processes that never wait.
busy(Count) ->
    [spawn(fun Spin() -> Spin() end) || _ <- lists:seq(1, Count)],
    Count.

%% As many processes that keep 4 MiB of garbage on the heap and 6 MiB outside of it, until they collect it.
hoard(Count) ->
    [hoarder() || _ <- lists:seq(1, Count)],
    Count.

hoarder() ->
    Caller = self(),
    Pid = spawn_opt(
        fun() ->
            {List, Binary} = {lists:seq(1, 1 bsl 18), binary:copy(<<0>>, 6 bsl 20)},
            Caller ! {self(), length(List), byte_size(Binary)},
            receive stop -> ok end
        end,
        [{min_bin_vheap_size, 1 bsl 20}]
    ),
    receive {Pid, _, _} -> Pid end.

control(undefined) -> ok;
control(Path) ->
    _ = file:delete(Path),
    {ok, Listen} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, binary, {packet, 4}, {active, false}]),
    serve(Listen).

serve(Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> evaluate(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    serve(Listen).

%% Has a service evaluate expressions, waits for it, and ends this VM: with an error where it failed.
ask(Path, Expressions) ->
    {ok, Socket} = gen_tcp:connect({local, Path}, 0, [binary, {packet, 4}, {active, false}]),
    ok = gen_tcp:send(Socket, Expressions ++ "."),
    case gen_tcp:recv(Socket, 0) of
        {ok, _} -> halt(0);
        {error, closed} -> halt(1)
    end.

evaluate(Socket) ->
    {ok, Expressions} = gen_tcp:recv(Socket, 0),
    gen_tcp:send(Socket, term_to_binary(value(binary_to_list(Expressions)))).

value(Expressions) ->
    {ok, Tokens, _} = erl_scan:string(Expressions),
    {ok, Parsed} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Parsed, []),
    Value.
