%% @private
%% Calls the function of the config key `memory_pressure' when the native thread reports memory pressure.
-module(systemd_memory_pressure).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, collect/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-type variables() :: {Watch :: binary(), Write :: binary()}.

-record(state, {
    variables :: variables(),
    %% The thread ends when this process ends.
    thread = none :: none | systemd_nif:memory_pressure(),
    run = none :: none | pid()
}).

%% The pause between two calls, in milliseconds. Pressure during the pause leads to one more call.
-define(PAUSE, 5000).
%% The time between two attempts to start the thread, in milliseconds.
-define(RETRY, 1000).
%% If the function takes longer than this, in milliseconds, that is logged.
-define(LATE, 10000).

%% How many processes collect their garbage per call, at most.
-define(MAX_PROCESSES, 100).
%% The pause after each process, in milliseconds, in which schedulers can run other processes.
-define(PROCESS_PAUSE, 10).
%% How long to wait for one process, in milliseconds. A process in a long native call collects its garbage later.
-define(PROCESS_TIMEOUT, 5000).

-spec child_spec(systemd_env:variables()) -> [supervisor:child_spec()].
child_spec(Variables) ->
    Path = systemd_env:value("MEMORY_PRESSURE_WATCH", Variables),
    Off = lists:member(Path, [false, <<>>, <<"/dev/null">>]) orelse systemd_config:function(memory_pressure) =:= false,
    Write = case systemd_env:value("MEMORY_PRESSURE_WRITE", Variables) of false -> <<>>; Base64 -> Base64 end,
    [#{id => ?MODULE, start => {?MODULE, start_link, [{Path, Write}]}, restart => transient} || not Off].

start_link(Variables) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Variables, []).

init(Variables) ->
    process_flag(trap_exit, true),
    self() ! start,
    {ok, #state{variables = Variables}, hibernate}.

start(#state{variables = {Path, Write}} = State) ->
    try systemd_nif:memory_pressure_start(Path, base64:decode(Write)) of
        {ok, Watch} -> {noreply, State#state{thread = Watch}, hibernate};
        {error, Reason} -> not_started(Reason, State)
    catch
        error:nif_not_loaded -> not_started(nif_not_loaded, State);
        error:_ -> not_started(no_base64, State)
    end.

not_started(Reason, #state{variables = {Path, _}} = State) ->
    systemd_log:once(
        {?MODULE, Reason}, warning, "systemd: memory pressure is not watched: MEMORY_PRESSURE_WATCH=~ts: ~ts",
        [Path, explain(Reason)]
    ),
    case systemd_reason:is_temporary(Reason) of
        true ->
            _ = erlang:send_after(?RETRY, self(), start),
            {noreply, State#state{thread = none}, hibernate};
        false ->
            {stop, normal, State}
    end.

explain(Reason) ->
    case Reason =:= nif_not_loaded orelse systemd_reason:is_temporary(Reason) of
        true -> systemd_reason:explain_start(Reason);
        false -> [why(Reason), ". See MemoryPressureWatch= in systemd.resource-control(5)"]
    end.

why(no_base64) -> "MEMORY_PRESSURE_WRITE is not valid Base64";
why(einval) -> "it is not a kernel file, FIFO or UNIX stream socket, or it rejects MEMORY_PRESSURE_WRITE";
why(Reason) -> systemd_reason:posix(Reason).

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
handle_info({systemd_memory_pressure, {error, Reason}}, State) ->
    not_started(Reason, State);
handle_info({systemd_memory_pressure, closed}, #state{variables = {Path, _}} = State) ->
    systemd_log:say(warning, "systemd: memory pressure is no longer watched: ~ts was closed or removed", [Path]),
    {stop, normal, State};
handle_info({'EXIT', Run, Reason}, #state{run = Run} = State) ->
    Function = systemd_config:function(memory_pressure),
    systemd_function:complain(memory_pressure, Function, systemd_function:outcome(Reason)),
    {noreply, pause(State), hibernate};
handle_info(done, #state{thread = Watch} = State) ->
    try systemd_nif:memory_pressure_done(Watch)
    catch error:badarg -> systemd_sup:restart_child(?MODULE)
    end,
    {noreply, State, hibernate};
handle_info(_, State) ->
    {noreply, State}.

run(Function, Priority, State) ->
    State#state{run = systemd_function:start_link(memory_pressure, Function, #{priority => Priority, late => ?LATE})}.

pause(State) ->
    _ = erlang:send_after(?PAUSE, self(), done),
    State#state{run = none}.

%% @doc Makes the processes with the most garbage collect it, one after the other.
collect() ->
    Before = memory(),
    Chosen = chosen(),
    lists:foreach(fun collect/1, Chosen),
    systemd_log:say(notice, "systemd: memory pressure: collected ~b of ~b processes~ts", [
        length(Chosen), erlang:system_info(process_count), difference(Before, memory())
    ]).

collect(Pid) ->
    async = garbage_collect(Pid, [{async, Pid}]),
    receive {garbage_collect, Pid, _} -> ok after ?PROCESS_TIMEOUT -> ok end,
    timer:sleep(?PROCESS_PAUSE).

chosen() ->
    Most = lists:foldl(fun keep_most/2, gb_sets:new(), lists:delete(self(), processes())),
    [Pid || {_, Pid} <- lists:reverse(gb_sets:to_list(Most))].

%% The set never has more than ?MAX_PROCESSES + 1 elements: there may be a million processes, and memory is short.
keep_most(Pid, Most) ->
    With = case gain(Pid) of Words when Words > 0 -> gb_sets:add({Words, Pid}, Most); _ -> Most end,
    case gb_sets:size(With) > ?MAX_PROCESSES of
        true -> {_, Rest} = gb_sets:take_smallest(With), Rest;
        false -> With
    end.

%% How many words a collection may free, minus the words that it is known to copy. A copy takes memory too, and a large
%% heap that is alive must not be copied each time. `recent_size', what the last collection found alive, is counted
%% twice because it is also part of one of the heaps.
gain(Pid) ->
    case process_info(Pid, garbage_collection_info) of
        {_, Info} ->
            Words = fun(Key) -> proplists:get_value(Key, Info) end,
            Sizes = [heap_size, old_heap_size, bin_vheap_size, bin_old_vheap_size],
            lists:sum(lists:map(Words, Sizes)) - 2 * Words(recent_size);
        undefined ->
            0
    end.

memory() ->
    try erlang:memory(total)
    %% An allocator of the VM is disabled, see erts_alloc(3).
    catch error:notsup -> unknown
    end.

difference(unknown, _) -> "";
difference(Before, Now) -> io_lib:format("; the VM has ~b MiB, ~b MiB before", [Now bsr 20, Before bsr 20]).
