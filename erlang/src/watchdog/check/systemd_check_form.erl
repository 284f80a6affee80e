%% @private
%% Which terms are checks, and what they are called in a text.
-module(systemd_check_form).

-export([fault/1, name/1, name_of/1]).

-define(IS_MILLIS(Millis), is_integer(Millis), Millis > 0, Millis < 1 bsl 32).
-define(IS_COUNT(Count), is_integer(Count), Count >= 0).

%% @doc The innermost part of it that is no check, and what a check would have there.
-spec fault(term()) -> none | {Part :: term(), Needs :: string()}.
fault([]) -> none;
fault([Check | Checks]) -> first_fault(Check, Checks);
fault({all, Checks}) when is_list(Checks) -> fault(Checks);
fault({any, [_ | _] = Checks}) -> fault(Checks);
fault({all, _} = Check) -> {Check, "needs a list of checks"};
fault({any, _} = Check) -> {Check, "needs a list of at least one check"};
fault({Kind, Millis, Check}) when Kind =:= every orelse Kind =:= timeout, ?IS_MILLIS(Millis) ->
    fault(Check);
fault({Kind, _, _} = Check) when Kind =:= every; Kind =:= timeout ->
    {Check, "needs a positive integer of milliseconds"};
fault({schedulers, Millis}) when ?IS_MILLIS(Millis) -> none;
fault({schedulers, _} = Check) -> {Check, "needs a positive integer of milliseconds"};
fault({run_queue, Max}) when ?IS_COUNT(Max) -> none;
fault({run_queue, _} = Check) -> {Check, "needs an integer of at least 0"};
fault({memory, Bytes}) when is_integer(Bytes), Bytes > 0 -> none;
fault({memory, Share}) when is_float(Share), Share > 0.0, Share =< 1.0 -> none;
fault({memory, _} = Check) -> {Check, "needs a number of bytes, or a float of at most 1.0"};
fault({Kind, Name} = Check) when Kind =:= process; Kind =:= supervisor -> name_fault(Name, Check);
fault({mailbox, Name, Max} = Check) when ?IS_COUNT(Max) -> name_fault(Name, Check);
fault({mailbox, _, _} = Check) -> {Check, "needs an integer of at least 0"};
fault({Module, Function, Args}) when is_atom(Module), is_atom(Function), length(Args) >= 0 -> none;
fault(Function) when is_function(Function, 0) -> none;
fault(Check) -> {Check, "is neither a check, {M, F, A} nor fun/0"}.

%% The tail of an improper list is no list.
first_fault(Check, Checks) ->
    case fault(Check) of
        none when is_list(Checks) -> fault(Checks);
        none -> {Checks, "is no list of checks"};
        Fault -> Fault
    end.

name_fault(Name, Check) ->
    case is_name(Name) of
        true -> none;
        false -> {Check, "needs a registered name or a pid"}
    end.

is_name({global, _}) -> true;
is_name({via, Module, _}) -> is_atom(Module);
is_name(Name) -> is_atom(Name) orelse is_pid(Name).

%% @doc The name of a check that is not made of others.
-spec name(systemd_check:check()) -> io_lib:chars().
name({Kind, _}) when Kind =:= schedulers; Kind =:= run_queue; Kind =:= memory -> atom_to_list(Kind);
name({Kind, Name}) -> io_lib:format("~ts ~ts", [Kind, name_of(Name)]);
name({mailbox, Name, _}) -> io_lib:format("mailbox ~ts", [name_of(Name)]);
name({Module, Function, Args}) -> function(Module, Function, length(Args));
name(Fun) ->
    case erlang:fun_info(Fun, type) of
        {type, external} ->
            {module, Module} = erlang:fun_info(Fun, module),
            {name, Name} = erlang:fun_info(Fun, name),
            function(Module, Name, 0);
        {type, local} ->
            io_lib:format("~0tp", [Fun])
    end.

function(Module, Function, Arity) ->
    case atom_to_list(Module) of
        "Elixir." ++ Name -> io_lib:format("~ts.~ts/~b", [Name, Function, Arity]);
        Name -> io_lib:format("~ts:~ts/~b", [Name, Function, Arity])
    end.

%% @doc The name of a process, or of a child: Elixir's modules as Elixir writes them.
-spec name_of(term()) -> io_lib:chars().
name_of(Name) when is_atom(Name) ->
    case atom_to_list(Name) of
        "Elixir." ++ Module -> Module;
        Text -> Text
    end;
name_of(Name) ->
    io_lib:format("~0tP", [Name, 20]).
