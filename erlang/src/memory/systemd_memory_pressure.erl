%% @private
%% Calls the function of the config key `memory_pressure' when the native thread says that memory is
%% short.
-module(systemd_memory_pressure).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, collect/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type variables() :: {Watch :: binary(), Write :: binary() | false}.

-record(state, {
    variables :: variables(),
    thread = none :: none | {Owner :: pid(), systemd_nif:memory_pressure()},
    run = none :: none | pid()
}).

-define(SEE, ". See MemoryPressureWatch= in systemd.resource-control(5)").
%% Between two calls, in milliseconds. What comes meanwhile is one more call.
-define(PAUSE, 5000).
%% Between two tries to start the thread, in milliseconds.
-define(RETRY, 1000).
%% The log says when a function takes longer, in milliseconds.
-define(LATE, 10000).

%% So many at a time, at most.
-define(MAX_PROCESSES, 100).
%% After each, in milliseconds: the schedulers have other things to do.
-define(BETWEEN, 10).
%% A process that is long in native code comes to it later, in milliseconds.
-define(LONGEST, 5000).

-spec child_spec(systemd_env:variables()) -> [supervisor:child_spec()].
child_spec(Variables) ->
    Path = systemd_env:value("MEMORY_PRESSURE_WATCH", Variables),
    Off = lists:member(Path, [false, <<>>, <<"/dev/null">>]) orelse systemd_config:function(memory_pressure) =:= false,
    Args = [{Path, systemd_env:value("MEMORY_PRESSURE_WRITE", Variables)}],
    [#{id => ?MODULE, start => {?MODULE, start_link, Args}, restart => transient} || not Off].

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

handle_info({systemd_memory_pressure, pressure}, #state{run = none} = State) ->
    case systemd_config:function(memory_pressure) of
        false -> {noreply, pause(State)};
        undefined -> {noreply, run({?MODULE, collect, []}, low, State)};
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
handle_info({'EXIT', Run, Reason}, #state{run = Run} = State) ->
    _ = case systemd_function:outcome(Reason) of
        {returned, _} -> ok;
        Failure -> systemd_function:complain(memory_pressure, systemd_config:function(memory_pressure), Failure)
    end,
    {noreply, pause(State), hibernate};
handle_info({'EXIT', Owner, _}, #state{thread = {Owner, _}} = State) ->
    start(State#state{thread = none});
handle_info(done, State) ->
    done(State);
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #state{run = none}) -> ok;
terminate(_, #state{run = Run}) -> systemd_function:stop(Run).

run(Function, Priority, State) ->
    State#state{run = systemd_function:start_link(memory_pressure, Function, #{priority => Priority, late => ?LATE})}.

pause(State) ->
    _ = erlang:send_after(?PAUSE, self(), done),
    State#state{run = none}.

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

%% @doc Has the processes with the most garbage collect it, one after the other.
-spec collect() -> ok.
collect() ->
    Before = memory(),
    Chosen = chosen(),
    lists:foreach(fun collect/1, Chosen),
    systemd_log:say(
        notice,
        "systemd: memory pressure: collected ~b of ~b processes~ts",
        [length(Chosen), erlang:system_info(process_count), difference(Before, memory())]
    ).

collect(Pid) ->
    async = garbage_collect(Pid, [{async, Pid}]),
    receive {garbage_collect, Pid, _} -> ok after ?LONGEST -> ok end,
    timer:sleep(?BETWEEN).

chosen() ->
    Most = lists:foldl(fun keep_most/2, gb_sets:new(), lists:delete(self(), processes())),
    [Pid || {_, Pid} <- lists:reverse(gb_sets:to_list(Most))].

keep_most(Pid, Most) ->
    case gain(Pid) of
        Words when Words > 0 -> keep_most(Words, Pid, Most);
        _ -> Most
    end.

keep_most(Words, Pid, Most) ->
    case gb_sets:size(Most) < ?MAX_PROCESSES orelse gb_sets:take_smallest(Most) of
        true -> gb_sets:add({Words, Pid}, Most);
        {{Least, _}, Rest} when Least < Words -> gb_sets:add({Words, Pid}, Rest);
        _ -> Most
    end.

%% How many words a collection may free, less those that it is known to copy: a copy takes memory too,
%% and a large heap that is alive must not be copied each time.
gain(Pid) ->
    case process_info(Pid, garbage_collection_info) of
        {_, Info} -> lists:foldl(fun add/2, 0, Info);
        undefined -> 0
    end.

add({heap_size, Words}, Sum) -> Sum + Words;
add({old_heap_size, Words}, Sum) -> Sum + Words;
add({bin_vheap_size, Words}, Sum) -> Sum + Words;
add({bin_old_vheap_size, Words}, Sum) -> Sum + Words;
%% What the last collection found alive is in one of the heaps as well.
add({recent_size, Words}, Sum) -> Sum - 2 * Words;
add(_, Sum) -> Sum.

memory() ->
    try erlang:memory(total)
    %% Some of its allocators are switched off, see erts_alloc(3).
    catch error:notsup -> unknown
    end.

difference(unknown, _) -> "";
difference(Before, Now) -> io_lib:format("; the VM has ~b MiB, ~b MiB before", [Now bsr 20, Before bsr 20]).
