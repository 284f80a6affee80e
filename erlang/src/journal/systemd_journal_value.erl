%% @private
%% Any term as the text of a journal field. The native library writes what is simple itself.
-module(systemd_journal_value).

-export([text/2, term/2, language/1, language_of/1, exception/3, stack/1]).

-export_type([language/0]).

-type language() :: elixir | erlang.

%% @doc In whose syntax the values of an event are written.
-spec language(logger:metadata()) -> language().
language(#{domain := [elixir | _]}) -> elixir;
%% From one of Logger's translators.
language(#{crash_reason := _}) -> elixir;
language(#{mfa := {Module, _, _}}) when is_atom(Module) -> language_of(Module);
language(_) -> erlang.

-spec language_of(module()) -> language().
language_of(Module) ->
    case atom_to_binary(Module) of
        <<"Elixir.", _/binary>> -> elixir;
        _ -> erlang
    end.

%% @doc Text as it is, and anything else as a term. Nothing for `undefined' and `nil'.
-spec text(term(), language()) -> binary().
text(Value, _) when Value =:= undefined; Value =:= nil -> <<>>;
text(Value, _) when is_atom(Value) -> atom(Value);
text(Value, Language) when is_binary(Value) ->
    case is_printable(Value) of
        true -> Value;
        false -> term(Value, Language)
    end;
text([_ | _] = Value, Language) ->
    case io_lib:printable_unicode_list(Value) of
        true -> utf8(Value);
        false -> term(Value, Language)
    end;
text(#{'__struct__' := _} = Value, Language) ->
    case systemd_elixir:is_there() andalso systemd_elixir:to_text(Value) of
        {ok, Text} -> Text;
        _ -> term(Value, Language)
    end;
text(Value, Language) ->
    term(Value, Language).

%% As `io_lib:printable_unicode_list/1' has it, without a list of the characters.
is_printable(<<Char/utf8, Rest/binary>>) when
    Char >= 16#20, Char < 16#7F;
    Char >= 16#A0, Char < 16#FFFE;
    Char > 16#FFFF;
    Char >= $\b, Char =< $\r;
    Char =:= $\e
->
    is_printable(Rest);
is_printable(Rest) ->
    Rest =:= <<>>.

%% @doc A struct in it is what its `Inspect' shows of it, in either language.
-spec term(term(), language()) -> binary().
term(Value, elixir) ->
    case systemd_elixir:is_there() andalso systemd_elixir:inspect(Value) of
        {ok, Text} -> Text;
        _ -> term(Value, erlang)
    end;
term(Value, erlang) ->
    case systemd_elixir:redacted(Value) of
        %% A struct alone.
        Text when is_binary(Text), not is_binary(Value) -> Text;
        Redacted -> utf8(io_lib:format("~0tp", [Redacted]))
    end.

utf8(Chars) -> <<_/binary>> = unicode:characters_to_binary(Chars).

%% @doc What was raised and where, without the arguments, which may be long, or secret.
-spec exception(error | exit | throw, Reason :: term(), [tuple()]) -> unicode:chardata().
exception(Class, Reason, Stack) ->
    [atom_to_list(Class), $\s, text(Reason, erlang), " at ", lists:join(", ", [frame(Frame) || Frame <- Stack])].

%% @doc One line for each function.
-spec stack([tuple()]) -> binary().
stack(Stack) -> iolist_to_binary(lists:join($\n, [frame(Frame) || Frame <- Stack])).

frame({Module, Function, Args, Location}) when is_list(Args) ->
    frame({Module, Function, length(Args), Location});
frame({Module, Function, Arity, Location}) ->
    Separator = case language_of(Module) of elixir -> "."; erlang -> ":" end,
    [atom(Module), Separator, atom_to_binary(Function), $/, integer_to_binary(Arity), place(Location)];
frame({Fun, Args, Location}) when is_function(Fun) ->
    {module, Module} = erlang:fun_info(Fun, module),
    {name, Name} = erlang:fun_info(Fun, name),
    frame({Module, Name, Args, Location}).

place(Location) ->
    case {lists:keyfind(file, 1, Location), lists:keyfind(line, 1, Location)} of
        {{_, File}, {_, Line}} -> [" (", text(File, erlang), $:, text(Line, erlang), $)];
        _ -> []
    end.

atom(Atom) ->
    case atom_to_binary(Atom) of
        <<"Elixir.", Name/binary>> -> Name;
        Name -> Name
    end.
