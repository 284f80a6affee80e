%% @private
%% Calls functions of the user's in processes of their own, which may hang or crash without harm.
-module(systemd_function).

-export([start_link/2, call/1, outcome/1, is_callable/1, describe/2, summary/1]).
-export([run/2]).

-export_type([outcome/0, failure/0]).

-type outcome() :: {returned, term()} | failure().

-type failure() :: raised() | {ended, Reason :: term()} | {invalid, Config :: term()}.

-type raised() :: {raised, error | exit | throw, Reason :: term(), Text :: io_lib:chars()}.

%% @doc Calls it. The caller, which traps exits, gets an `EXIT' whose reason is for {@link outcome/1}.
-spec start_link(Function :: term(), erlang:priority_level()) -> pid().
start_link(Function, Priority) -> spawn_link(?MODULE, run, [Function, Priority]).

-spec outcome(ExitReason :: term()) -> outcome().
outcome({?MODULE, Outcome}) -> Outcome;
outcome(Reason) -> {ended, Reason}.

%% @doc Whether it has the form of one: `{Module, Function, Args}' or `fun/0'.
-spec is_callable(term()) -> boolean().
is_callable({Module, Function, Args}) ->
    is_atom(Module) andalso is_atom(Function) andalso is_list(Args);
is_callable(Function) ->
    is_function(Function, 0).

-spec run(Function :: term(), erlang:priority_level()) -> no_return().
run(Function, Priority) ->
    process_flag(priority, Priority),
    exit({?MODULE, call(Function)}).

%% @doc Calls it in the caller's process.
-spec call(Function :: term()) -> {returned, term()} | raised() | {invalid, Config :: term()}.
call(Function) ->
    case is_callable(Function) of
        true ->
            try {returned, apply_to_nothing(Function)}
            catch Class:Reason:Stack -> {raised, Class, Reason, text(Class, Reason, Stack)}
            end;
        false ->
            {invalid, Function}
    end.

apply_to_nothing({Module, Function, Args}) -> apply(Module, Function, Args);
apply_to_nothing(Function) -> Function().

%% Where there is Elixir, as it tells of its own exceptions, by code of theirs.
text(Class, Reason, Stack) ->
    Places = [without_arguments(Frame) || Frame <- Stack],
    Elixir = 'Elixir.Exception',
    case erlang:function_exported(Elixir, format, 3) of
        true -> Elixir:format(Class, Reason, Places);
        false -> io_lib:format("~ts ~0tP at ~0tP", [Class, systemd_elixir:redacted(Reason), 20, Places, 30])
    end.

%% They may be long, or secret.
without_arguments({Module, Function, Args, Location}) when is_list(Args) ->
    {Module, Function, length(Args), Location};
without_arguments(Frame) ->
    Frame.

%% @doc What became of the function of that config key, or in that place.
-spec describe(failure(), What :: atom()) -> {io:format(), [term()]}.
describe({raised, _, _, Text}, _) ->
    {"raised ~ts", [Text]};
describe({ended, Reason}, _) ->
    {"was ended by an exit signal: ~0tP", [systemd_elixir:redacted(Reason), 20]};
describe({invalid, Config}, What) ->
    {"can't be called: ~ts is ~0tP, and neither {M, F, A} nor fun/0", [What, systemd_elixir:redacted(Config), 20]}.

%% @doc The same without what may be long, or secret: everybody may read the status.
-spec summary(failure()) -> io_lib:chars().
summary({raised, Class, Reason, _}) -> io_lib:format("raised ~ts ~0tp", [Class, kind(Reason)]);
summary({ended, Reason}) -> io_lib:format("was ended by an exit signal ~0tp", [kind(Reason)]);
summary({invalid, _}) -> "can't be called".

kind(#{'__struct__' := Exception}) -> Exception;
kind(Reason) when is_tuple(Reason), tuple_size(Reason) > 0 -> kind(element(1, Reason));
kind(Reason) when is_atom(Reason) -> Reason;
kind(_) -> term.
