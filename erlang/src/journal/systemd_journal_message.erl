%% @private
%% Formats an event as text, even if its formatter fails.
-module(systemd_journal_message).

-export([format/2, bad_return/1, utf8/1]).

%% @doc What the formatter returns, which may not be text. If the formatter fails, a text to send instead, and the
%% error.
-spec format(logger:log_event(), {module(), logger:formatter_config()}) ->
    {ok, term()} | {failed, Text :: unicode:chardata(), Why :: unicode:chardata()}.
%% A string does not pass through the default formatter, which makes a list of its characters: that takes up to thirty
%% times as long.
format(#{msg := {string, Text}} = Event, {logger_formatter, Config} = Formatter) when
    Config =:= #{template => [msg], single_line => false}
->
    try unicode:characters_to_binary(Text) of
        Message when is_binary(Message) -> {ok, Message};
        _ -> formatted(Event, Formatter)
    catch
        error:badarg -> formatted(Event, Formatter)
    end;
format(Event, Formatter) -> formatted(Event, Formatter).

formatted(Event, {Module, Config}) ->
    try
        {ok, Module:format(without_structs(Event, Module, Config), Config)}
    catch
        Class:Reason:Stack ->
            Why = io_lib:format("formatter ~ts failed: ~ts", [
                Module, systemd_journal_fields:exception(Class, Reason, Stack)
            ]),
            {failed, [fallback("FORMATTER CRASH", Event), "; ", Why], Why}
    end.

%% A formatter of Elixir handles structs itself. A formatter of Erlang would show all fields of a struct. So OTP's
%% formatter gets the finished text, and any other one gets the same kind of message without structs.
without_structs(#{msg := Message, meta := Meta} = Event, Formatter, Config) ->
    case {systemd_elixir:language(Formatter), systemd_elixir:is_loaded(), Message, Config} of
        {elixir, _, _, _} -> Event;
        {erlang, false, {string, _}, _} -> Event;
        {erlang, false, _, _} -> Event#{msg := systemd_elixir:redacted(Message)};
        {erlang, true, _, #{template := [msg]}} -> Event#{msg := shown(Message, Meta, Formatter, Config)};
        {erlang, true, _, _} ->
            Event#{msg := shown(Message, Meta, Formatter, Config), meta := systemd_elixir:redacted(Meta)}
    end.

shown(Message, Meta, logger_formatter, Config) -> systemd_elixir:message(Message, Meta, Config);
shown(Message, _, _, _) -> systemd_elixir:redacted(Message).

%% @doc The text to send if a formatter has not returned a text.
-spec bad_return(logger:log_event()) -> unicode:chardata().
bad_return(Event) -> fallback("FORMATTER ERROR: bad return value", Event).

fallback(What, #{msg := Message}) -> [What, ": ", systemd_journal_fields:term(Message, erlang)].

%% @doc Converts to valid UTF-8: each invalid byte or number becomes U+FFFD. Raises `badarg' if the term is not
%% chardata.
-spec utf8(term()) -> unicode:unicode_binary().
utf8(Text) ->
    case unicode:characters_to_binary(Text) of
        Valid when is_binary(Valid) -> Valid;
        _ -> replace(iolist_to_binary(bytes(Text)), <<>>)
    end.

bytes([First | Rest]) -> [bytes(First) | bytes(Rest)];
bytes(Point) when is_integer(Point) ->
    case unicode:characters_to_binary([Point]) of
        Bytes when is_binary(Bytes) -> Bytes;
        _ -> <<16#FFFD/utf8>>
    end;
bytes(Bytes) -> Bytes.

replace(<<Point/utf8, Rest/binary>>, Done) -> replace(Rest, <<Done/binary, Point/utf8>>);
replace(<<_, Rest/binary>>, Done) -> replace(Rest, <<Done/binary, 16#FFFD/utf8>>);
replace(<<>>, Done) -> Done.
