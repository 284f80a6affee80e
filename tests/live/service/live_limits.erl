%% Every public function, called while the process may have no more descriptors, or no more threads and processes.
-module(live_limits).

-export([prepare/1, calls/0]).

%% Calls them all when FILE is there, which takes no descriptor to see, and keeps what came of it.
prepare(File) ->
    {ok, Modules} = application:get_key(systemd, modules),
    %% As in a release: what is called is loaded.
    ok = code:ensure_modules_loaded([erl_eval, rand, socket, base64, re, filename, string, io_lib_format | Modules]),
    _ = spawn(fun() -> await(File), persistent_term:put(?MODULE, [{Name, result(Call)} || {Name, Call} <- calls()]) end),
    ok.

await(File) ->
    case file:read_file_info(File, [raw]) of
        {ok, _} -> ok;
        {error, _} -> timer:sleep(20), await(File)
    end.

result(Call) ->
    try {returned, Call()}
    catch Class:Reason -> {raised, Class, Reason}
    end.

calls() ->
    [
        {{ready, 0}, fun() -> start(systemd:ready()) end},
        {{ready, 1}, fun() -> start(systemd:ready("x")) end},
        {{set_status, 1}, fun() -> start(systemd:set_status([{up, {status, "up"}}])) end},
        {{status_every, 2}, fun() -> start(systemd:status_every(1000, fun() -> "x" end)) end},
        {{drainer, 1}, fun() -> start(systemd:drainer(http)) end},
        {{drainer, 2}, fun() -> start(systemd:drainer([{port, 1}], [{wait, connections}])) end},
        {{is_stopping, 0}, fun() -> systemd:is_stopping() end},
        {{extend_timeout_while, 1}, fun() -> systemd:extend_timeout_while(fun() -> done end) end},
        {{extend_timeout_while, 2}, fun() -> systemd:extend_timeout_while(fun() -> done end, [{limit, 100}]) end},
        {{extend_timeout_while_stopping, 0}, fun() -> start(systemd:extend_timeout_while_stopping()) end},
        {{extend_timeout_while_stopping, 1}, fun() -> start(systemd:extend_timeout_while_stopping([])) end},
        {{notify, 1}, fun() -> systemd:notify({status, "text"}) end},
        {{barrier, 0}, fun() -> systemd:barrier() end},
        {{barrier, 1}, fun() -> systemd:barrier(1000) end},
        {{watchdog, 1}, fun() -> [systemd:watchdog(What) || What <- [state, ping, disable, enable]] end},
        {{reload, 0}, fun() -> systemd:reload() end},
        {{reload, 1}, fun() -> try systemd:reload(nonsense) catch error:_ -> ok end end},
        {{booted, 0}, fun() -> systemd:booted() end},
        {{is_journal, 1}, fun() -> systemd:is_journal(standard_error) end},
        {{unset_env, 1}, fun() -> systemd:unset_env(notify) end},
        {{info, 0}, fun() -> systemd:info() end},
        {{doctor, 0}, fun() -> systemd:doctor() end},
        {{listen_fds, 0}, fun() -> systemd:listen_fds() end},
        {{listen_opts, 1}, fun() -> systemd:listen_opts(http) end},
        {{listen_opts, 2}, fun() -> systemd:listen_opts(http, 4000) end},
        {{listen_socket, 1}, fun() -> systemd:listen_socket(http) end},
        {{listen_info, 1}, fun() -> systemd:listen_info(http) end},
        {{store_fds, 1}, fun() -> systemd:store_fds([{0, input}]) end},
        {{store_fds, 2}, fun() -> systemd:store_fds([{0, input}], [{poll, false}]) end},
        {{clear_fds, 1}, fun() -> systemd:clear_fds([input]) end},
        {{store_term, 2}, fun() -> systemd:store_term(state, #{a => 1}) end},
        {{fetch_term, 1}, fun() -> systemd:fetch_term(state) end},
        {{credentials, 1}, fun() -> systemd:credentials(secret) end},
        {{read_credential, 1}, fun() -> systemd:read_credential(secret) end}
    ].

start(#{start := {Module, Function, Args}}) -> apply(Module, Function, Args).
