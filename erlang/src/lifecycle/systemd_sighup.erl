%% @private
%% `systemctl reload' by SIGHUP: a handler of kernel's signal server.
-module(systemd_sighup).
-behaviour(gen_event).

-export([install/0, uninstall/0]).
-export([init/1, handle_event/2, handle_call/2]).

%% @doc As the config key `handle_event' says.
-spec install() -> ok.
install() ->
    case application:get_env(systemd, handle_event, sighup) of
        sighup ->
            os:set_signal(sighup, handle),
            uninstall(),
            gen_event:add_handler(erl_signal_server, ?MODULE, []);
        false ->
            ok;
        Invalid ->
            logger:error(
                "systemd: config key handle_event is ~0tP, which is neither sighup nor false",
                [systemd_elixir:redacted(Invalid), 20]
            )
    end.

-spec uninstall() -> ok.
uninstall() ->
    _ = gen_event:delete_handler(erl_signal_server, ?MODULE, []),
    ok.

init([]) -> {ok, []}.

%% The signal server handles SIGTERM too, and waits for nothing.
handle_event(sighup, State) ->
    systemd_reload:request(),
    {ok, State};
handle_event(_, State) ->
    {ok, State}.

handle_call(_, State) -> {ok, {error, badarg}, State}.
