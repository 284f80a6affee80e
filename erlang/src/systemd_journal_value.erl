%% @private
%% Any term as the text of a journal field. The native library writes what is simple itself.
-module(systemd_journal_value).

-export([text/1, function/1]).

-spec text(term()) -> binary().
text(Value) when is_binary(Value) -> Value;
text(Value) when Value =:= undefined; Value =:= nil -> <<>>;
text(Value) when is_atom(Value) -> atom(Value);
text(Value) when is_list(Value) -> list(Value);
text(#{'__struct__' := _} = Value) -> struct(Value);
text(Value) -> term(Value).

%% @doc As the language of the module writes it.
-spec function({module(), atom(), arity() | [term()]}) -> binary().
function({Module, Function, Args}) when is_list(Args) ->
    function({Module, Function, length(Args)});
function({Module, Function, Arity}) ->
    Separator =
        case atom_to_binary(Module) of
            <<"Elixir.", _/binary>> -> ".";
            _ -> ":"
        end,
    iolist_to_binary([atom(Module), Separator, atom_to_binary(Function), $/, integer_to_binary(Arity)]).

atom(Atom) ->
    case atom_to_binary(Atom) of
        <<"Elixir.", Name/binary>> -> Name;
        Name -> Name
    end.

list(Value) ->
    try unicode:characters_to_binary(Value) of
        Text when is_binary(Text) -> Text;
        _ -> bytes(Value)
    catch
        error:_ -> term(Value)
    end.

bytes(Value) ->
    try iolist_to_binary(Value)
    catch error:_ -> term(Value)
    end.

%% As Elixir writes it, where it can: that is the user's code, which may do anything.
struct(#{'__exception__' := true} = Exception) ->
    try 'Elixir.Exception':format_banner(error, Exception)
    catch _:_ -> term(Exception)
    end;
struct(Value) ->
    try iolist_to_binary('Elixir.String.Chars':to_string(Value))
    catch _:_ -> term(Value)
    end.

term(Value) -> unicode:characters_to_binary(io_lib:format("~0tp", [Value])).
