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
    watch :: systemd_nif:memory_pressure(),
    runner = none :: none | pid()
}).

-define(SEE, ". See MemoryPressureWatch= in systemd.resource-control(5)").
%% Between two calls, in milliseconds. What comes meanwhile is one more call.
-define(PAUSE, 5000).
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
    case open(Variables) of
        {ok, Watch} -> {ok, #state{variables = Variables, watch = Watch}, hibernate};
        failed -> ignore
    end.

open({Path, _} = Variables) ->
    case start(Variables) of
        {ok, Watch} ->
            {ok, Watch};
        {error, Reason} ->
            systemd_log:once(
                {?MODULE, Reason},
                warning,
                "systemd: memory pressure is not watched: MEMORY_PRESSURE_WATCH=~ts: ~ts",
                [Path, explain(Reason)]
            ),
            failed
    end.

start({Path, Write}) ->
    case systemd_nif:loaded() andalso decode(Write) of
        {ok, Data} -> systemd_nif:memory_pressure_start(Path, Data);
        {error, _} = Error -> Error;
        false -> {error, nif_not_loaded}
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
explain(Reason) when Reason =:= eagain; Reason =:= nif_not_loaded; Reason =:= emfile; Reason =:= enfile; Reason =:= enomem ->
    systemd_reason:explain_start(Reason);
explain(Reason) ->
    [systemd_reason:posix(Reason), ?SEE].

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info({systemd_memory_pressure, pressure}, #state{runner = none} = State) ->
    case configured() of
        false -> {noreply, pause(State)};
        undefined -> {noreply, run({systemd_garbage, collect, []}, low, State)};
        Function -> {noreply, run(Function, normal, State)}
    end;
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

%% Another copy of the native library may have taken the place of the one whose thread it is, which ends
%% when hibernation has collected it.
done(#state{variables = Variables, watch = Watch} = State) ->
    try systemd_nif:memory_pressure_done(Watch) of
        ok -> {noreply, State, hibernate}
    catch
        error:badarg ->
            case open(Variables) of
                {ok, New} -> {noreply, State#state{watch = New}, hibernate};
                failed -> {stop, normal, State}
            end
    end.

%% What goes on is said once.
complain(Format, Args) ->
    systemd_log:once(
        {?MODULE, Format}, error, "systemd: the function of memory_pressure " ++ Format, Args
    ).
