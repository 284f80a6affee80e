%% @private
%% Runs reloads as the config key `reload' says, one at a time.
-module(systemd_reload).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, requests/0, request/1, reload/0, restart/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([requests/0]).

%% The number of reloads that signals have requested and that are not done. It outlives this process, because the sender
%% of a signal does not learn that this process has crashed.
-opaque requests() :: atomics:atomics_ref().

-record(state, {
    requests :: requests(),
    running = none :: none | {Run :: pid(), [reloading], Waiting :: [gen_server:from()], Requests :: non_neg_integer()},
    %% Callers that asked while a reload was running. That reload may have read the configuration before it changed.
    next = none :: none | [gen_server:from()]
}).

%% In characters.
-define(LONGEST_STATUS, 500).

-spec child_spec(requests()) -> supervisor:child_spec().
child_spec(Requests) -> #{id => ?MODULE, start => {?MODULE, start_link, [Requests]}}.

start_link(Requests) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Requests, []).

-spec requests() -> requests().
requests() -> atomics:new(1, []).

%% @doc Requests a reload, and does not wait for it.
-spec request(requests()) -> ok.
request(Requests) ->
    ok = atomics:add(Requests, 1, 1),
    gen_server:cast(?MODULE, reload).

%% @doc Waits for the end of a reload that began after the call.
reload() ->
    case {systemd_notify:is_absent(), systemd_config:function(reload)} of
        {true, _} ->
            ok;
        {false, restart} ->
            restart(fun init:restart/0, []);
        {false, _} ->
            try gen_server:call(?MODULE, {reload, systemd_function:current()}, infinity)
            catch
                exit:{noproc, _} -> no_server(systemd_notify:send([]));
                exit:{shutdown, _} -> {error, stopping};
                exit:{Reason, _} -> {error, {reload_failed, Reason}}
            end
    end.

no_server(ok) -> {error, stopping};
no_server({error, _} = Error) -> Error.

%% @doc See {@link systemd_lifecycle:restart/2}. Does nothing outside of systemd.
-spec restart(fun(), Args :: list()) -> ok | {error, systemd:reason()}.
restart(Restart, Args) ->
    case systemd_notify:is_absent() orelse systemd_lifecycle:restart(Restart, Args) of
        true -> ok;
        {error, stopping} -> refuse();
        Result -> Result
    end.

refuse() ->
    systemd_log:say(notice, "systemd: not reloaded, because the service is stopping", []),
    {error, stopping}.

%% If a reload was running when the former process crashed, this ends it.
init(Requests) ->
    process_flag(trap_exit, true),
    _ = systemd_lifecycle:state() =:= reloading andalso finish({returned, {error, interrupted}}, [reloading]),
    _ = atomics:get(Requests, 1) > 0 andalso gen_server:cast(self(), reload),
    {ok, #state{requests = Requests}}.

%% The reload function has called systemd:reload/0, and would wait for itself.
handle_call({reload, Run}, _, #state{running = {Run, _, _, _}} = State) ->
    {reply, {error, {reload_failed, reloading}}, State};
handle_call({reload, _}, From, State) -> {noreply, reload([From], State)};
handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(reload, State) -> {noreply, reload([], State)};
handle_cast(_, State) -> {noreply, State}.

handle_info({'EXIT', Run, Reason}, #state{running = {Run, Announced, Waiting, Count}, next = Next} = State) ->
    ok = atomics:sub(State#state.requests, 1, Count),
    reply(Waiting, finish(systemd_function:outcome(Reason), Announced)),
    Idle = State#state{running = none, next = none},
    {noreply, case Next of none -> Idle; _ -> reload(Next, Idle) end};
handle_info(_, State) ->
    {noreply, State}.

%% A running reload ends with this process.
terminate(_, #state{running = {Run, _, _, _}}) -> systemd_function:stop(Run);
terminate(_, _) -> ok.

reply(Waiting, Reply) -> lists:foreach(fun(From) -> gen_server:reply(From, Reply) end, Waiting).

reload(From, #state{running = none, requests = Requests} = State) ->
    Count = atomics:get(Requests, 1),
    case {systemd_lifecycle:state(), systemd_config:function(reload)} of
        {GoingDown, _} when GoingDown =:= stopping; GoingDown =:= restarting ->
            ok = atomics:sub(Requests, 1, Count),
            reply(From, refuse()),
            State;
        {_, restart} ->
            ok = atomics:sub(Requests, 1, Count),
            reply(From, restart(fun init:restart/0, [])),
            State;
        {Before, Function} ->
            %% systemd_notify logs a failure. The function still runs, because the configuration is out of date.
            Announced = [reloading || Before =/= starting, systemd_notify:send(reloading) =:= ok],
            Limit = systemd_config:value(reload_timeout),
            Run = systemd_function:start_link(reload, Function, #{limit => Limit}),
            State#state{running = {Run, Announced, From, Count}}
    end;
reload(From, #state{next = none} = State) ->
    State#state{next = From};
reload(From, #state{next = Next} = State) ->
    State#state{next = From ++ Next}.

-spec finish(systemd_function:outcome(), [reloading]) -> ok | {error, systemd:reason()}.
finish({returned, error}, Announced) ->
    finish({returned, {error, error}}, Announced);
finish({returned, {error, Reason}}, Announced) ->
    Text = describe(Reason),
    failed(Reason, Text, Text, Announced);
finish({returned, Returned}, Announced) ->
    Result = case Returned of {ok, Value} -> Value; _ -> Returned end,
    Text = case Result of ok -> "reloaded"; _ -> ["reloaded: ", describe(Result)] end,
    systemd_log:say(notice, "systemd: ~ts", [Text]),
    report(Announced, Text);
%% Every user can read the status, so details of an exception are only in the log.
finish(Failure, Announced) ->
    {Format, Args} = systemd_function:describe(Failure),
    Summary = systemd_function:summary(Failure),
    case Failure of
        {not_done, _, _} -> failed(timeout, Summary, text(Format, Args), Announced);
        _ ->
            Log = text("its function " ++ Format, Args),
            failed(reason(Failure), ["it ", Summary, ", see the log"], Log, Announced)
    end.

failed(Reason, Status, Log, Announced) ->
    systemd_log:say(error, "systemd: reload failed, and the service goes on: ~ts", [Log]),
    _ = report(Announced, ["reload failed: ", Status]),
    {error, {reload_failed, Reason}}.

reason({raised, Class, Reason, _}) -> {Class, Reason};
reason({_, Reason}) -> Reason.

%% While the service stops, its status stays as it is. `READY=1' is sent only if `RELOADING=1' was.
report(Announced, Text) ->
    case systemd_lifecycle:is_going_down() of
        true ->
            ok;
        false ->
            Status = unicode:characters_to_binary(string:slice(Text, 0, ?LONGEST_STATUS)),
            systemd_notify:send([ready || reloading <- Announced] ++ [{status, Status}])
    end.

%% Text stays as it is. Any other term is formatted in Erlang's syntax.
describe(Result) ->
    IsText = is_binary(Result) andalso unicode:characters_to_binary(Result) =:= Result,
    case IsText orelse io_lib:printable_unicode_list(Result) of
        true -> Result;
        false -> text("~0tP", [systemd_elixir:redacted(Result), 50])
    end.

text(Format, Args) -> io_lib:format(Format, Args).
