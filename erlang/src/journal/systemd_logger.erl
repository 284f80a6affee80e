%% @private
%% Sets up the handlers of `logger' when the application starts.
-module(systemd_logger).

-export([install/0, is_debug_invocation/0, is_journal/1, levels/0]).

%% How long to wait for the end of log calls that have begun, in milliseconds.
-define(LONGEST_LOG_CALL, 1000).

%% @doc Sets up the handlers whose stream is the journal, as the config keys `install_journal' and `install_kmsg' say.
-spec install() -> ok.
install() ->
    _ = is_debug_invocation() andalso systemd_config:value(debug_invocation) andalso set_debug_level(),
    _ = systemd_config:value(install_kmsg) andalso lists:foreach(fun install_kmsg/1, logger:get_handler_config()),
    case systemd_config:value(install_journal) of
        false -> ok;
        true -> install_journal(#{});
        Options when is_map(Options) -> install_journal(Options);
        Options -> install_journal(maps:from_list(Options))
    end.

%% @doc With `RestartMode=debug', see systemd.service(5), systemd sets the variable when it restarts a failed service.
-spec is_debug_invocation() -> boolean().
is_debug_invocation() -> os:getenv("DEBUG_INVOCATION") =:= "1".

set_debug_level() ->
    ok = logger:set_primary_config(level, debug),
    logger:notice("systemd: log level debug, because of RestartMode=debug; debug_invocation: false turns this off").

-spec is_journal(term()) -> boolean().
is_journal(standard_io) -> is_stream(1);
is_journal(user) -> is_stream(1);
is_journal(standard_error) -> is_stream(2);
is_journal(_) -> false.

is_stream(Fd) ->
    Named = os:getenv("JOURNAL_STREAM", ""),
    systemd_nif:loaded() andalso systemd_nif:is_journal(Fd, unicode:characters_to_binary(Named)).

%% @doc Whether the default handler writes to the journal by standard output, and if so, with the prefix `<N>' or
%% without.
-spec levels() -> prefixed | missing | elsewhere.
levels() ->
    Default = [Handler || {ok, Handler} <- [logger:get_handler_config(default)], writes_to_journal(Handler)],
    case Default of
        [#{formatter := {systemd_kmsg_formatter, _}}] -> prefixed;
        [_] -> missing;
        [] -> elsewhere
    end.

install_journal(Options) ->
    case (is_journal(standard_error) orelse is_journal(standard_io)) andalso replaceable() of
        #{module := Module} = Old when Module =/= systemd_journal_h -> replace(Old, Options);
        _ -> ok
    end.

%% Elixir before 1.15 removes the default handler. Its own handler has backends, and drops the reports of supervisors
%% and the like.
replaceable() ->
    case {logger:get_handler_config(default), logger:get_handler_config('Elixir.Logger')} of
        {{ok, Default}, _} -> Default;
        {_, {ok, #{filters := Filters} = Elixir}} -> Elixir#{filters := sasl() ++ Filters};
        _ -> none
    end.

sasl() ->
    case application:get_env(logger, handle_sasl_reports, false) of
        true -> [];
        _ -> [{sasl, {fun logger_filters:domain/2, {stop, sub, [otp, sasl]}}}]
    end.

replace(#{id := Id} = Old, Options) ->
    Kept = maps:with([level, filters, filter_default], Old),
    Handler = Kept#{
        formatter => systemd_journal_config:message_only(), config => maps:merge(#{metadata => scalars}, Options)
    },
    %% For a moment both handlers write, so that no line is lost.
    case logger:add_handler(?MODULE, systemd_journal_h, Handler) of
        ok ->
            clear(Id),
            _ = logger:add_handler(default, systemd_journal_h, Handler) =:= ok andalso
                logger:remove_handler(?MODULE),
            ok;
        {error, Reason} ->
            logger:error("systemd: install_journal: the handler could not be added: ~0tp", [Reason])
    end.

%% If a log call has read a handler that is then removed, logger removes the handler of that name, which would be the
%% new one. So log calls that have begun may end first.
clear(default) ->
    _ = logger:set_handler_config(default, level, none),
    await_log_calls(processes(), systemd_wait:deadline(?LONGEST_LOG_CALL)),
    logger:remove_handler(default);
clear('Elixir.Logger') ->
    try 'Elixir.Logger':remove_backend(console)
    catch _:_ -> ok
    end.

await_log_calls(Pids, Deadline) ->
    case {[Pid || Pid <- Pids, is_logging(Pid)], systemd_wait:rest(Deadline)} of
        {Rest, Millis} when Rest =/= [], Millis > 0 -> timer:sleep(2), await_log_calls(Rest, Deadline);
        _ -> ok
    end.

%% `current_stacktrace' is too short to contain logger_backend.
is_logging(Pid) ->
    case process_info(Pid, backtrace) of
        {backtrace, Stack} -> binary:match(Stack, <<"(logger_backend:">>) =/= nomatch;
        undefined -> false
    end.

install_kmsg(#{id := Id, formatter := {Module, Config}} = Handler) when
    Module =/= systemd_kmsg_formatter, is_map(Config)
->
    Formatter = {systemd_kmsg_formatter, Config#{parent => Module}},
    case writes_to_journal(Handler) andalso logger:set_handler_config(Id, formatter, Formatter) of
        {error, Reason} -> logger:error("systemd: install_kmsg: not for handler ~0tp: ~0tP", [Id, Reason, 20]);
        _ -> ok
    end;
install_kmsg(_) -> ok.

writes_to_journal(#{module := logger_std_h, config := #{type := {device, Device}}}) -> is_journal(Device);
writes_to_journal(#{module := logger_std_h, config := #{type := Device}}) -> is_journal(Device);
writes_to_journal(_) -> false.
