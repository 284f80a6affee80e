%% @private
%% The way from any process to journald, with no process in between.
-module(systemd_journal).

-export([send/5]).

-export_type([more/0, reason/0]).

-type more() :: [{Name :: binary(), Value :: binary()}].
-type reason() :: invalid_message | badarg | file:posix().

%% @doc Sends one entry, and waits for journald up to its `send_timeout'.
-spec send(systemd_journal_config:ready(), logger:level(), logger:metadata(), Message :: unicode:chardata(), more()) ->
    ok | {error, reason()}.
send(#{sink := Sink} = Config, Level, Meta, Message, More) ->
    case systemd_nif:journal_log(Sink, Level, Meta, Message, More) of
        again -> wait(Config, Level, Meta, flat(Message), More);
        {format, Paths} -> send(Config, Level, format(Paths, Meta), Message, More);
        Result -> Result
    end.

wait(#{sink := Sink, send_timeout := Timeout} = Config, Level, Meta, Message, More) ->
    Wait = fun(Rest) ->
        systemd_nif:journal_log_wait(Sink, Level, Meta, Message, More, Rest)
    end,
    case systemd_wait:until(systemd_wait:deadline(Timeout), Wait) of
        {format, Paths} -> wait(Config, Level, format(Paths, Meta), Message, More);
        Result -> Result
    end.

%% The emulator's own function yields, where flattening a long list natively would not.
flat(Message) when is_list(Message) ->
    case unicode:characters_to_binary(Message) of
        Flat when is_binary(Flat) -> Flat;
        _ -> Message
    end;
flat(Message) ->
    Message.

format(Paths, Meta) -> lists:foldl(fun format_at/2, Meta, Paths).

format_at([Key], Map) -> maps:update_with(Key, fun systemd_journal_value:text/1, Map);
format_at([Key | Path], Map) -> maps:update_with(Key, fun(Value) -> format_at(Path, Value) end, Map).
