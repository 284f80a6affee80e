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
    case systemd_nif:journal_log(Sink, Level, Meta, Message, More, []) of
        {format, Paths} -> formatted(Config, Level, Meta, Message, More, texts(Paths, Meta));
        again -> wait(Config, [Level, Meta, flat(Message), More], []);
        Result -> Result
    end.

formatted(#{sink := Sink} = Config, Level, Meta, Message, More, Texts) ->
    case systemd_nif:journal_log(Sink, Level, Meta, Message, More, Texts) of
        again -> wait(Config, [Level, Meta, flat(Message), More], Texts);
        Result -> Result
    end.

%% In the order of their coming: otherwise one of many might wait for ever.
wait(#{sink := Sink, send_timeout := Timeout}, [_, Meta | _] = Event, Texts) ->
    Deadline = systemd_wait:deadline(Timeout),
    {Ticket, Number, First} = systemd_nif:journal_join(Sink),
    case First orelse is_next(Number, Timeout) of
        true ->
            try wait_first(Sink, Event, Texts, Deadline) of
                {format, Paths} -> wait_first(Sink, Event, texts(Paths, Meta), Deadline);
                Result -> Result
            after
                leave(Ticket)
            end;
        false ->
            leave(Ticket),
            _ = is_next(Number, 0),
            {error, eagain}
    end.

%% One of another copy of the native library leaves when nobody refers to it any more.
leave(Ticket) ->
    try systemd_nif:journal_leave(Ticket)
    catch error:badarg -> ok
    end.

wait_first(Sink, Event, Texts, Deadline) ->
    apply(systemd_nif, journal_log_wait, [Sink | Event] ++ [Texts, systemd_wait:rest(Deadline)]).

is_next(Number, Timeout) ->
    receive {systemd_journal, Number} -> true
    after Timeout -> false
    end.

%% The emulator's own function yields, where flattening a long list natively would not.
flat(Message) when is_list(Message) ->
    try unicode:characters_to_binary(Message) of
        Flat when is_binary(Flat) -> Flat;
        _ -> Message
    catch
        error:_ -> Message
    end;
flat(Message) ->
    Message.

texts(Paths, Meta) ->
    Language = systemd_journal_value:language(Meta),
    [systemd_journal_value:text(lists:foldl(fun maps:get/2, Meta, Path), Language) || Path <- Paths].
