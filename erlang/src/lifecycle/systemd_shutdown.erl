%% @private
%% Says `STOPPING=1' once, when shutdown begins.
-module(systemd_shutdown).

-export([install/0, begun/1, stopping/0, restarting/1, is_under_way/0]).

%% @doc Has kernel call {@link begun/1} before it takes the first application down. What was
%% in that place before is called next.
-spec install() -> ok.
install() ->
    _ = persistent_term:erase({?MODULE, under_way}),
    case application:get_env(kernel, shutdown_func) of
        {ok, {?MODULE, begun}} ->
            ok;
        Previous ->
            persistent_term:put({?MODULE, previous}, Previous),
            application:set_env(kernel, shutdown_func, {?MODULE, begun})
    end.

%% @doc Runs in the application controller: anything that calls it would wait for ever.
-spec begun(Reason :: term()) -> term().
begun(Reason) ->
    _ = case under_way() of
        restart -> ok;
        _ ->
            case init_restarts() of
                true -> restarting(true), systemd_reload:announce_restart();
                false -> persistent_term:put({?MODULE, under_way}, stop), stopping()
            end
    end,
    case persistent_term:get({?MODULE, previous}, undefined) of
        {ok, {Module, Function}} -> Module:Function(Reason);
        _ -> ok
    end.

%% `init' doesn't tell why it takes the applications down, but for its stack: in the frame of
%% `init:stop/2' there is `restart', or `{restart, Mode}', or what `init:stop/0,1' was called with.
init_restarts() ->
    {backtrace, Backtrace} = process_info(whereis(init), backtrace),
    case string:split(Backtrace, "(init:stop/2 ") of
        [_, Frame] -> re:run(Frame, "^y\\(\\d+\\) +\\{?restart\\b", [multiline]) =/= nomatch;
        _ -> false
    end.

%% @doc Sends `STOPPING=1', unless it was sent, or the VM goes down only to come back.
-spec stopping() -> ok | {error, systemd:reason()}.
stopping() ->
    case systemd_notify:has_announced(stopping) orelse under_way() =:= restart of
        true -> ok;
        false -> systemd_notify:send(stopping)
    end.

%% @doc Whether what follows is a restart of the VM, with no `STOPPING=1' on the way.
-spec restarting(boolean()) -> ok.
restarting(true) ->
    persistent_term:put({?MODULE, under_way}, restart);
restarting(false) ->
    _ = persistent_term:erase({?MODULE, under_way}),
    ok.

%% @doc Whether the service stops, also where that could not be said, or the VM goes down to come back.
-spec is_under_way() -> boolean().
is_under_way() -> under_way() =/= none orelse systemd_notify:has_announced(stopping).

under_way() -> persistent_term:get({?MODULE, under_way}, none).
