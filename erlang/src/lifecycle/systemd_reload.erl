%% @private
%% What a reload is, as the config key `reload' says it, and one at a time.
-module(systemd_reload).
-behaviour(gen_server).

-export([child_spec/1, start_link/1, requests/0, request/1, reload/0, restart/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([requests/0]).

%% How many are asked for by signals, and not done: their sender does not learn that this process has ended.
-opaque requests() :: atomics:atomics_ref().

-record(state, {
    requests :: requests(),
    running = none :: none | {Run :: pid(), [reloading], Waiting :: [gen_server:from()], Requests :: non_neg_integer()},
    %% Asked for while another one runs: the function may have read what has changed since.
    next = none :: none | [gen_server:from()]
}).

%% In characters.
-define(LONGEST_STATUS, 500).

-spec child_spec(requests()) -> supervisor:child_spec().
child_spec(Requests) -> #{id => ?MODULE, start => {?MODULE, start_link, [Requests]}}.

start_link(Requests) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Requests, []).

-spec requests() -> requests().
requests() -> atomics:new(1, []).

%% @doc Has one done, and waits for nothing.
-spec request(requests()) -> ok.
request(Requests) ->
    ok = atomics:add(Requests, 1, 1),
    gen_server:cast(?MODULE, reload).

%% @doc Returns when one is done that was begun after the call.
reload() ->
    case {systemd_notify:is_absent(), systemd_config:function(reload)} of
        {true, _} ->
            ok;
        {false, restart} ->
            restart(fun init:restart/0, []);
        {false, _} ->
            try gen_server:call(?MODULE, {reload, systemd_function:current()}, infinity)
            catch
                exit:{noproc, _} -> not_there(systemd_notify:send([]));
                exit:{shutdown, _} -> {error, stopping};
                exit:{Reason, _} -> {error, {reload_failed, Reason}}
            end
    end.

not_there(ok) -> {error, stopping};
not_there({error, _} = Error) -> Error.

%% @doc See {@link systemd_lifecycle:restart/2}; nothing outside of systemd.
-spec restart(fun(), Args :: list()) -> ok | {error, systemd:reason()}.
restart(Restart, Args) ->
    case systemd_notify:is_absent() orelse systemd_lifecycle:restart(Restart, Args) of
        true -> ok;
        {error, stopping} -> refused();
        Result -> Result
    end.

refused() ->
    systemd_log:say(notice, "systemd: not reloaded, because the service is stopping", []),
    {error, stopping}.

%% A reload that was going on when the process before this one ended has no end but this.
init(Requests) ->
    process_flag(trap_exit, true),
    _ = systemd_lifecycle:state() =:= reloading andalso finish({returned, {error, interrupted}}, [reloading]),
    _ = atomics:get(Requests, 1) > 0 andalso gen_server:cast(self(), reload),
    {ok, #state{requests = Requests}}.

%% It would wait for itself.
handle_call({reload, Run}, _, #state{running = {Run, _, _, _}} = State) ->
    {reply, {error, {reload_failed, reloading}}, State};
handle_call({reload, _}, From, State) -> {noreply, reload([From], State)};
handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(reload, State) -> {noreply, reload([], State)};
handle_cast(_, State) -> {noreply, State}.

handle_info({'EXIT', Run, Reason}, #state{running = {Run, Said, Waiting, Count}, next = Next} = State) ->
    ok = atomics:sub(State#state.requests, 1, Count),
    reply(Waiting, finish(systemd_function:outcome(Reason), Said)),
    Idle = State#state{running = none, next = none},
    {noreply, case Next of none -> Idle; _ -> reload(Next, Idle) end};
handle_info(_, State) ->
    {noreply, State}.

%% A reload that goes on is part of what goes down.
terminate(_, #state{running = {Run, _, _, _}}) -> systemd_function:stop(Run);
terminate(_, _) -> ok.

reply(Waiting, Reply) -> lists:foreach(fun(From) -> gen_server:reply(From, Reply) end, Waiting).

reload(From, #state{running = none, requests = Requests} = State) ->
    Count = atomics:get(Requests, 1),
    case {systemd_lifecycle:state(), systemd_config:function(reload)} of
        {GoingDown, _} when GoingDown =:= stopping; GoingDown =:= restarting ->
            ok = atomics:sub(Requests, 1, Count),
            reply(From, refused()),
            State;
        {_, restart} ->
            ok = atomics:sub(Requests, 1, Count),
            reply(From, restart(fun init:restart/0, [])),
            State;
        {Before, Function} ->
            %% A failure is logged there; it is no reason to go on with what is out of date.
            Said = [reloading || Before =/= starting, systemd_notify:send(reloading) =:= ok],
            Limit = systemd_config:value(reload_timeout),
            Run = systemd_function:start_link(reload, Function, #{limit => Limit}),
            State#state{running = {Run, Said, From, Count}}
    end;
reload(From, #state{next = none} = State) ->
    State#state{next = From};
reload(From, #state{next = Next} = State) ->
    State#state{next = From ++ Next}.

-spec finish(systemd_function:outcome(), [reloading]) -> ok | {error, systemd:reason()}.
finish({returned, error}, Said) ->
    finish({returned, {error, error}}, Said);
finish({returned, {error, Reason}}, Said) ->
    Text = describe(Reason),
    failed(Reason, Text, Text, Said);
finish({returned, Returned}, Said) ->
    Result = case Returned of {ok, Value} -> Value; _ -> Returned end,
    Text = case Result of ok -> "reloaded"; _ -> ["reloaded: ", describe(Result)] end,
    systemd_log:say(notice, "systemd: ~ts", [Text]),
    tell(Said, Text);
%% Everybody may read the status: only what the function meant to say is told there.
finish(Failure, Said) ->
    {Format, Args} = systemd_function:describe(Failure),
    Summary = systemd_function:summary(Failure),
    case Failure of
        {not_done, _, _} -> failed(timeout, Summary, text(Format, Args), Said);
        _ -> failed(reason(Failure), ["it ", Summary, ", see the log"], text("its function " ++ Format, Args), Said)
    end.

failed(Reason, Status, Log, Said) ->
    systemd_log:say(error, "systemd: reload failed, and the service goes on: ~ts", [Log]),
    _ = tell(Said, ["reload failed: ", Status]),
    {error, {reload_failed, Reason}}.

reason({raised, Class, Reason, _}) -> {Class, Reason};
reason({_, Reason}) -> Reason.

%% What goes down has other things to tell. What was not begun for the manager has no end.
tell(Said, Text) ->
    case systemd_lifecycle:is_going_down() of
        true ->
            ok;
        false ->
            Status = unicode:characters_to_binary(string:slice(Text, 0, ?LONGEST_STATUS)),
            systemd_notify:send([ready || reloading <- Said] ++ [{status, Status}])
    end.

%% Text as it is, and any other term as Erlang writes it.
describe(Result) ->
    IsText = is_binary(Result) andalso unicode:characters_to_binary(Result) =:= Result,
    case IsText orelse io_lib:printable_unicode_list(Result) of
        true -> Result;
        false -> text("~0tP", [systemd_elixir:redacted(Result), 50])
    end.

text(Format, Args) -> io_lib:format(Format, Args).
