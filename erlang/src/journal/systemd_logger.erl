%% @private
%% What the application does with the handlers of `logger' when it starts.
-module(systemd_logger).

-export([install/0, is_journal/1, levels/0]).

%% Log calls that have begun get this long to end, in milliseconds.
-define(LONGEST_LOG_CALL, 1000).

%% @doc As the config keys `install_journal' and `install_kmsg' say, and only where the stream of a
%% handler is the journal.
-spec install() -> ok.
install() ->
    _ = systemd_config:value(install_kmsg) andalso lists:foreach(fun install_kmsg/1, logger:get_handler_config()),
    case systemd_config:value(install_journal) of
        false -> ok;
        true -> install_journal(#{});
        Options when is_map(Options) -> install_journal(Options);
        Options -> install_journal(maps:from_list(Options))
    end.

%% @doc See {@link systemd:is_journal/1}.
-spec is_journal(term()) -> boolean().
is_journal(standard_io) -> is_stream(1);
is_journal(user) -> is_stream(1);
is_journal(standard_error) -> is_stream(2);
is_journal(_) -> false.

is_stream(Fd) ->
    Named = os:getenv("JOURNAL_STREAM", ""),
    systemd_nif:loaded() andalso systemd_nif:is_journal(Fd, unicode:characters_to_binary(Named)).

%% @doc How the default handler's lines come to the journal by standard output: with `<N>' in front of them, or
%% without.
-spec levels() -> prefixed | missing | elsewhere.
levels() ->
    case logger:get_handler_config(default) of
        {ok, #{module := logger_std_h, formatter := {Formatter, _}} = Handler} ->
            case {is_journal(device(Handler)), Formatter} of
                {false, _} -> elsewhere;
                {true, systemd_kmsg_formatter} -> prefixed;
                {true, _} -> missing
            end;
        _ ->
            elsewhere
    end.

install_journal(Options) ->
    case is_journal(standard_error) orelse is_journal(standard_io) of
        true -> replace(place(), maps:merge(#{metadata => scalars}, Options));
        false -> ok
    end.

%% Elixir before 1.15 takes the default handler away. Its own has backends, and drops the reports of
%% supervisors and the like by itself.
place() ->
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

replace(none, _) ->
    ok;
replace(#{module := systemd_journal_h}, _) ->
    ok;
replace(#{id := Id} = Old, Options) ->
    Kept = maps:with([level, filters, filter_default], Old),
    Handler = Kept#{config => Options},
    %% Meanwhile both write, so that no line is lost.
    case logger:add_handler(?MODULE, systemd_journal_h, Handler) of
        ok ->
            clear(Id),
            _ = logger:add_handler(default, systemd_journal_h, Handler) =:= ok andalso
                logger:remove_handler(?MODULE),
            ok;
        {error, Reason} ->
            logger:error("systemd: install_journal: the handler could not be added: ~0tp", [Reason])
    end.

%% A log call that has found a handler which is gone then makes logger remove the one of that name,
%% which would be ours: those that have begun may end first.
clear(default) ->
    _ = logger:set_handler_config(default, level, none),
    Logging = [Pid || Pid <- processes(), is_logging(Pid)],
    await_log_calls(Logging, systemd_wait:deadline(?LONGEST_LOG_CALL)),
    logger:remove_handler(default);
clear('Elixir.Logger') -> catch 'Elixir.Logger':remove_backend(console).

await_log_calls(Logging, Deadline) ->
    case {[Pid || Pid <- Logging, is_logging(Pid)], systemd_wait:rest(Deadline)} of
        {[], _} -> ok;
        {_, 0} -> ok;
        {Rest, _} -> timer:sleep(2), await_log_calls(Rest, Deadline)
    end.

%% The stack trace as a term ends too early for that.
is_logging(Pid) ->
    case process_info(Pid, backtrace) of
        {backtrace, Stack} -> binary:match(Stack, <<"(logger_backend:">>) =/= nomatch;
        undefined -> false
    end.

install_kmsg(#{id := Id, module := logger_std_h, formatter := {Module, Config}} = Handler) when
    Module =/= systemd_kmsg_formatter, is_map(Config)
->
    case is_journal(device(Handler)) of
        true -> set_formatter(Id, {systemd_kmsg_formatter, Config#{parent => Module}});
        false -> ok
    end;
install_kmsg(_) ->
    ok.

set_formatter(Id, Formatter) ->
    case logger:set_handler_config(Id, formatter, Formatter) of
        ok ->
            ok;
        {error, Reason} ->
            logger:error("systemd: install_kmsg: not for handler ~0tp: ~0tP", [Id, Reason, 20])
    end.

device(#{config := #{type := {device, Device}}}) -> Device;
device(#{config := #{type := Device}}) -> Device;
device(_) -> undefined.
