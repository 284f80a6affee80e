%% @private
%% Handles the signal of `systemctl reload'. This is a handler of kernel's signal server, which also handles SIGTERM, so
%% it must not wait.
-module(systemd_signal).
-behaviour(gen_event).

-export([install/0, uninstall/0]).
-export([init/1, handle_event/2, handle_call/2]).

-record(state, {
    signal :: atom(),
    requests :: systemd_reload:requests(),
    %% Kernel's own handler would end the VM at this signal. So this handler replaces it, and passes other signals to
    %% it.
    replaces_kernel_handler = false :: boolean()
}).

%% @doc Handles the signal that the config key `handle_event' names.
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
    Replaces = lists:member(Signal, [sigusr1, sigquit]) andalso
        lists:member(erl_signal_handler, gen_event:which_handlers(erl_signal_server)),
    %% For a moment both handlers are there: without any handler, a SIGTERM would be lost.
    ok = gen_event:add_handler(erl_signal_server, ?MODULE, State#state{replaces_kernel_handler = Replaces}),
    Replaces andalso gen_event:delete_handler(erl_signal_server, erl_signal_handler, []).

uninstall() ->
    case gen_event:call(erl_signal_server, ?MODULE, replaces_kernel_handler) of
        true -> gen_event:add_handler(erl_signal_server, erl_signal_handler, []);
        _ -> ok
    end,
    _ = gen_event:delete_handler(erl_signal_server, ?MODULE, []),
    ok.

init(State) -> {ok, State}.

handle_event(Signal, #state{signal = Signal, requests = Requests} = State) ->
    systemd_reload:request(Requests),
    {ok, State};
handle_event(Signal, #state{replaces_kernel_handler = true} = State) ->
    _ = erl_signal_handler:handle_event(Signal, []),
    {ok, State};
handle_event(_, State) ->
    {ok, State}.

handle_call(replaces_kernel_handler, State) -> {ok, State#state.replaces_kernel_handler, State};
handle_call(_, State) -> {ok, {error, badarg}, State}.
