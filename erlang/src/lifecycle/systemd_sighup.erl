%% @private
%% `systemctl reload' by SIGHUP: a handler of kernel's signal server, which handles SIGTERM too, and waits for nothing.
-module(systemd_sighup).
-behaviour(gen_event).

-export([install/0, uninstall/0]).
-export([init/1, handle_event/2, handle_call/2]).

%% @doc As the config key `handle_event' says.
-spec install() -> systemd_reload:requests().
install() ->
    Requests = systemd_reload:requests(),
    _ = systemd_config:value(handle_event) =:= sighup andalso
        begin
            os:set_signal(sighup, handle),
            uninstall(),
            ok = gen_event:add_handler(erl_signal_server, ?MODULE, Requests)
        end,
    Requests.

uninstall() ->
    _ = gen_event:delete_handler(erl_signal_server, ?MODULE, []),
    ok.

init(Requests) -> {ok, Requests}.

handle_event(sighup, Requests) ->
    systemd_reload:request(Requests),
    {ok, Requests};
handle_event(_, Requests) ->
    {ok, Requests}.

handle_call(_, Requests) -> {ok, {error, badarg}, Requests}.
