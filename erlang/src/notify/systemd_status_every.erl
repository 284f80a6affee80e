%% @private
%% A child that computes a status at an interval, and sends it if it has changed.
-module(systemd_status_every).
-behaviour(gen_server).

-export([child_spec/2, start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {
    interval :: pos_integer(),
    function :: systemd:status_function(),
    run = none :: none | pid(),
    sent = none :: none | binary()
}).

child_spec(Interval, Function) ->
    #{id => {?MODULE, Interval, Function}, start => {?MODULE, start_link, [Interval, Function]}}.

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

handle_info(compute, #state{interval = Interval, function = Function, run = Run} = State) ->
    _ = erlang:send_after(Interval, self(), compute),
    case Run of
        none -> {noreply, State#state{run = systemd_function:start_link(status_every, Function, #{late => Interval})}};
        _ -> {noreply, State}
    end;
handle_info({'EXIT', Run, Reason}, #state{run = Run} = State) ->
    {noreply, computed(systemd_function:outcome(Reason), State#state{run = none}), hibernate};
handle_info(_, State) ->
    {noreply, State}.

computed(Outcome, #state{sent = Sent, function = Function} = State) ->
    case text(Outcome) of
        {ok, Sent} ->
            State;
        {ok, Text} ->
            case systemd_notify:send({status, Text}) of
                ok -> State#state{sent = Text};
                {error, _} -> State
            end;
        Failure ->
            systemd_function:complain(status_every, Function, Failure),
            State
    end.

text({returned, Status}) ->
    try {ok, <<_/binary>>} = {ok, unicode:characters_to_binary(Status)}
    catch error:_ -> {no_text, Status}
    end;
text(Failure) ->
    Failure.
