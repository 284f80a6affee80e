%% @private
%% The child that computes a status every so often, and tells when it has changed.
-module(systemd_status_every).
-behaviour(gen_server).

-export([child_spec/2, start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {
    interval :: pos_integer(),
    function :: systemd:status_function(),
    runner = none :: none | pid(),
    sent = none :: none | binary()
}).

-spec child_spec(Millis :: pos_integer(), systemd:status_function()) -> supervisor:child_spec().
child_spec(Interval, Function) ->
    #{
        id => {?MODULE, make_ref()},
        start => {?MODULE, start_link, [Interval, Function]},
        modules => [?MODULE]
    }.

start_link(Interval, Function) -> gen_server:start_link(?MODULE, {Interval, Function}, []).

init({Interval, Function}) ->
    case systemd_notify:is_absent() of
        true ->
            ignore;
        false ->
            process_flag(trap_exit, true),
            self() ! compute,
            {ok, #state{interval = Interval, function = Function}}
    end.

handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info(compute, #state{interval = Interval, function = Function, runner = none} = State) ->
    _ = erlang:send_after(Interval, self(), compute),
    {noreply, State#state{runner = systemd_function:start_link(Function, normal)}};
handle_info(compute, #state{interval = Interval} = State) ->
    _ = erlang:send_after(Interval, self(), compute),
    complain("has not returned for ~b ms", [Interval], State),
    {noreply, State};
handle_info({'EXIT', Runner, Reason}, #state{runner = Runner} = State) ->
    {noreply, computed(systemd_function:outcome(Reason), State#state{runner = none}), hibernate};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #state{runner = none}) -> ok;
terminate(_, #state{runner = Runner}) -> exit(Runner, kill).

computed({returned, Status}, #state{sent = Sent} = State) ->
    try unicode:characters_to_binary(Status) of
        Sent ->
            State;
        Text when is_binary(Text) ->
            case systemd_notify:send({status, Text}) of
                ok -> State#state{sent = Text};
                {error, _} -> State
            end;
        _ ->
            no_text(Status, State)
    catch
        error:_ -> no_text(Status, State)
    end;
computed(Failure, State) ->
    {Format, Args} = systemd_function:describe(Failure, status_every),
    complain(Format, Args, State),
    State.

no_text(Status, State) ->
    complain("returned ~0tP, which is no text", [systemd_elixir:redacted(Status), 20], State),
    State.

%% What goes on is said once.
complain(Format, Args, #state{function = Function}) ->
    systemd_log:once(
        {?MODULE, Function, Format}, error, "systemd: the function of status_every " ++ Format, Args
    ).
