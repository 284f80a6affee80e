%% @private
%% Calls the function of the config key `memory_pressure' when the native thread says that memory is
%% short.
-module(systemd_memory_pressure).
-behaviour(gen_server).

-export([child_spec/1, start_link/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type variables() :: {Watch :: binary(), Write :: binary() | false}.

-record(state, {
    variables :: variables(),
    thread = none :: none | {Owner :: pid(), systemd_nif:memory_pressure()},
    runner = none :: none | pid()
}).

-define(SEE, ". See MemoryPressureWatch= in systemd.resource-control(5)").
%% Between two calls, in milliseconds. What comes meanwhile is one more call.
-define(PAUSE, 5000).
%% Between two tries to start the thread, in milliseconds.
-define(RETRY, 1000).
%% A function that takes longer is told of, in milliseconds.
-define(LATE, 10000).

-spec child_spec(systemd_env:variables()) -> [supervisor:child_spec()].
child_spec(Variables) ->
    Path = systemd_env:value("MEMORY_PRESSURE_WATCH", Variables),
    Off = lists:member(Path, [false, <<>>, <<"/dev/null">>]) orelse configured() =:= false,
    Args = [{Path, systemd_env:value("MEMORY_PRESSURE_WRITE", Variables)}],
    [#{id => ?MODULE, start => {?MODULE, start_link, Args}, restart => transient} || not Off].

configured() -> systemd_config:optional(memory_pressure).

start_link(Variables) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Variables, []).

init(Variables) ->
    process_flag(trap_exit, true),
    self() ! start,
    {ok, #state{variables = Variables}, hibernate}.

start(#state{variables = {Path, Write}} = State) ->
    Started =
        case systemd_nif:loaded() andalso decode(Write) of
            {ok, Data} ->
                systemd_owner:start_link(fun(Owner) -> systemd_nif:memory_pressure_start(Owner, Path, Data) end);
            {error, _} = Error ->
                Error;
            false ->
                {error, nif_not_loaded}
        end,
    case Started of
        {ok, Thread} -> {noreply, State#state{thread = Thread}, hibernate};
        {error, Reason} -> not_started(Reason, State)
    end.

not_started(Reason, #state{variables = {Path, _}} = State) ->
    systemd_log:once(
        {?MODULE, Reason},
        warning,
        "systemd: memory pressure is not watched: MEMORY_PRESSURE_WATCH=~ts: ~ts",
        [Path, explain(Reason)]
    ),
    case systemd_reason:may_pass(Reason) of
        true ->
            _ = erlang:send_after(?RETRY, self(), start),
            {noreply, State#state{thread = none}, hibernate};
        false ->
            {stop, normal, State}
    end.

decode(false) ->
    {ok, <<>>};
decode(Write) ->
    try {ok, base64:decode(Write)}
    catch error:_ -> {error, no_base64}
    end.

explain(no_base64) ->
    ["what MEMORY_PRESSURE_WRITE says is not Base64", ?SEE];
explain(einval) ->
    ["it is no file of the kernel, FIFO or UNIX stream socket, or doesn't take MEMORY_PRESSURE_WRITE", ?SEE];
explain(nif_not_loaded) ->
    systemd_reason:explain(nif_not_loaded);
explain(Reason) ->
    case systemd_reason:may_pass(Reason) of
        true -> systemd_reason:explain_start(Reason);
        false -> [systemd_reason:posix(Reason), ?SEE]
    end.

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info({systemd_memory_pressure, pressure}, #state{runner = none} = State) ->
    case configured() of
        false -> {noreply, pause(State)};
        undefined -> {noreply, run({systemd_garbage, collect, []}, low, State)};
        Function -> {noreply, run(Function, normal, State)}
    end;
handle_info(start, State) ->
    start(State);
handle_info({systemd_memory_pressure, {error, Reason}}, #state{thread = {Owner, _}} = State) ->
    systemd_owner:stop(Owner),
    not_started(Reason, State);
handle_info({systemd_memory_pressure, closed}, #state{variables = {Path, _}} = State) ->
    systemd_log:say(
        warning, "systemd: memory pressure is not watched any more: ~ts is closed, or gone", [Path]
    ),
    {stop, normal, State};
handle_info({'EXIT', Runner, Reason}, #state{runner = Runner} = State) ->
    case systemd_function:outcome(Reason) of
        {returned, _} ->
            ok;
        Failure ->
            {Format, Args} = systemd_function:describe(Failure, memory_pressure),
            complain(Format, Args)
    end,
    {noreply, pause(State), hibernate};
handle_info({'EXIT', Owner, _}, #state{thread = {Owner, _}} = State) ->
    start(State#state{thread = none});
handle_info({late, Runner}, #state{runner = Runner} = State) ->
    complain("has not returned for ~b ms, and is not called again before", [?LATE]),
    {noreply, State};
handle_info(done, State) ->
    done(State);
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #state{runner = none}) -> ok;
terminate(_, #state{runner = Runner}) -> exit(Runner, kill).

run(Function, Priority, State) ->
    Runner = systemd_function:start_link(Function, Priority),
    _ = erlang:send_after(?LATE, self(), {late, Runner}),
    State#state{runner = Runner}.

pause(State) ->
    _ = erlang:send_after(?PAUSE, self(), done),
    State#state{runner = none}.

%% Another copy of the native library may have taken the place of the one that runs the thread.
done(#state{thread = {Owner, Watch}} = State) ->
    try systemd_nif:memory_pressure_done(Watch) of
        ok -> {noreply, State, hibernate}
    catch
        error:badarg ->
            systemd_owner:stop(Owner),
            start(State#state{thread = none})
    end;
done(State) ->
    {noreply, State, hibernate}.

%% What goes on is said once.
complain(Format, Args) ->
    systemd_log:once(
        {?MODULE, Format}, error, "systemd: the function of memory_pressure " ++ Format, Args
    ).
