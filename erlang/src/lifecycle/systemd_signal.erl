%% @private
%% `systemctl reload' by a signal: a handler of kernel's signal server, which handles SIGTERM too and so must not wait.
-module(systemd_signal).
-behaviour(gen_event).

-export([install/0, uninstall/0]).
-export([init/1, handle_event/2, handle_call/2]).

-record(state, {
    signal :: atom(),
    requests :: systemd_reload:requests(),
    %% Kernel's own handler ends the VM at this signal, so that this one does its work for the others.
    stands_in = false :: boolean()
}).

%% @doc As the config key `handle_event' says.
-spec install() -> systemd_reload:requests().
install() ->
    Requests = systemd_reload:requests(),
    _ = case systemd_config:value(handle_event) of
        false -> ok;
        Signal -> install(#state{signal = Signal, requests = Requests})
    end,
    Requests.

install(#state{signal = Signal} = State) ->
    os:set_signal(Signal, handle),
    uninstall(),
    StandsIn = lists:member(Signal, [sigusr1, sigquit]) andalso
        lists:member(erl_signal_handler, gen_event:which_handlers(erl_signal_server)),
    %% Both are there for a moment: a SIGTERM that nobody handles would be lost.
    ok = gen_event:add_handler(erl_signal_server, ?MODULE, State#state{stands_in = StandsIn}),
    StandsIn andalso gen_event:delete_handler(erl_signal_server, erl_signal_handler, []).

uninstall() ->
    case gen_event:call(erl_signal_server, ?MODULE, stands_in) of
        true -> gen_event:add_handler(erl_signal_server, erl_signal_handler, []);
        _ -> ok
    end,
    _ = gen_event:delete_handler(erl_signal_server, ?MODULE, []),
    ok.

init(State) -> {ok, State}.

handle_event(Signal, #state{signal = Signal, requests = Requests} = State) ->
    systemd_reload:request(Requests),
    {ok, State};
handle_event(Signal, #state{stands_in = true} = State) ->
    _ = erl_signal_handler:handle_event(Signal, []),
    {ok, State};
handle_event(_, State) ->
    {ok, State}.

handle_call(stands_in, State) -> {ok, State#state.stands_in, State};
handle_call(_, State) -> {ok, {error, badarg}, State}.
