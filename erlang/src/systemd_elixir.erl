%% @private
%% Formats terms and log events with Elixir's own code, if Elixir is loaded.
-module(systemd_elixir).

-export([is_loaded/0, language/1, name/1, function/3, redacted/1, inspect/1, to_text/1, message/3, translated/1]).

-export_type([language/0]).

-type language() :: elixir | erlang.

%% The limits of Elixir's `inspect': elements, and bytes of text.
-define(LIMIT, 100).
-define(PRINTABLE_LIMIT, 8192).

%% @doc Whether Elixir is loaded: its application was started, or one of its terms was inspected before.
-spec is_loaded() -> boolean().
is_loaded() -> erlang:module_loaded(elixir) orelse erlang:module_loaded('Elixir.Inspect').

-spec language(module()) -> language().
language(Module) ->
    case atom_to_binary(Module) of
        <<"Elixir.", _/binary>> -> elixir;
        _ -> erlang
    end.

%% @doc The name of a module or any other atom, without the prefix `Elixir.'.
-spec name(atom()) -> binary().
name(Atom) ->
    case atom_to_binary(Atom) of
        <<"Elixir.", Name/binary>> -> Name;
        Name -> Name
    end.

%% @doc `mod:fun/1', or `Mod.fun/1' for an Elixir module.
-spec function(module(), Function :: atom(), arity()) -> iolist().
function(Module, Function, Arity) ->
    Separator = case language(Module) of elixir -> $.; erlang -> $: end,
    [name(Module), Separator, atom_to_binary(Function), $/, integer_to_binary(Arity)].

%% @doc Replaces each struct in a term, at any depth, by the text that its `Inspect' returns. A struct may hide fields
%% there, which Erlang's `~p' would show.
-spec redacted(term()) -> term().
redacted(#{'__struct__' := Name} = Struct) when is_atom(Name) ->
    case {inspect(Struct), is_loaded()} of
        {error, true} -> <<"#Inspect.Error<", (atom_to_binary(Name))/binary, ">">>;
        %% Elixir is not loaded: the struct is a map like any other.
        {error, false} -> redacted_map(Struct);
        {Text, _} -> Text
    end;
redacted(Map) when is_map(Map) -> redacted_map(Map);
redacted([First | Rest]) -> [redacted(First) | redacted(Rest)];
redacted(Tuple) when is_tuple(Tuple) -> list_to_tuple(redacted(tuple_to_list(Tuple)));
redacted(Term) -> Term.

redacted_map(Map) -> maps:from_list(redacted(maps:to_list(Map))).

%% @doc Calls Elixir's `inspect', with limits. Returns `error' if an implementation of `Inspect' fails: by default,
%% Elixir would then show the whole struct.
-spec inspect(term()) -> binary() | error.
inspect(Term) ->
    try inspect(Term, ?LIMIT)
    catch _:_ -> error
    end.

inspect(Term, Limit) ->
    'Elixir.Kernel':inspect(Term, [{safe, false}, {limit, Limit}, {printable_limit, ?PRINTABLE_LIMIT}]).

%% @doc The text of an exception by its `message/1', or of another struct by its `String.Chars'.
-spec to_text(map()) -> binary() | error.
to_text(Struct) ->
    try iolist_to_binary(struct_text(Struct))
    catch _:_ -> error
    end.

struct_text(#{'__exception__' := true} = Exception) ->
    %% This raises if an `Inspect' in the exception fails. The exception's message would then show all fields.
    _ = inspect(Exception, ?LIMIT),
    'Elixir.Exception':format_banner(error, Exception);
struct_text(Struct) ->
    'Elixir.String.Chars':to_string(Struct).

%% @doc Formats a message as Elixir's console does: `~p' and `~w' write what `inspect' returns. The configuration is
%% that of `logger_formatter'.
-spec message(Message, logger:metadata(), logger:formatter_config()) -> Message | {string, unicode:chardata()} when
    Message :: {string, unicode:chardata()} | {report, logger:report()} | {io:format(), [term()]}.
message({string, Text} = Message, _, _) ->
    try <<_/binary>> = unicode:characters_to_binary(Text), Message
    catch error:_ -> {string, ["FORMAT ERROR: ", io_lib:format("~0tp", [redacted(Text)])]}
    end;
message(Message, Meta, Config) ->
    Limit = case Config of #{depth := Depth} when is_integer(Depth) -> Depth; _ -> ?LIMIT end,
    try {string, message_text(Message, maps:merge(Meta, maps:with([report_cb], Config)), Limit)}
    catch _:_ -> redacted(Message)
    end.

message_text({report, Report}, #{report_cb := Callback}, Limit) when is_function(Callback, 1) ->
    message_text(Callback(report_for(Report, Callback)), #{}, Limit);
message_text({report, Report}, #{report_cb := Callback}, _) when is_function(Callback, 2) ->
    Callback(report_for(Report, Callback), #{depth => unlimited, chars_limit => unlimited, single_line => false});
message_text({report, Report}, _, Limit) when is_map(Report), not is_map_key('__struct__', Report) ->
    inspect(maps:to_list(Report), Limit);
message_text({report, Report}, _, Limit) ->
    inspect(Report, Limit);
message_text({Format, Args}, _, Limit) ->
    io_lib:build_text([shown(Spec, Limit) || Spec <- io_lib:scan_format(Format, Args)]).

%% A callback of an Elixir module gets the struct itself: it may match on it, and it shows it by `inspect'.
report_for(Report, Callback) ->
    {module, Module} = erlang:fun_info(Callback, module),
    case language(Module) of
        elixir -> Report;
        erlang -> redacted(Report)
    end.

shown(#{control_char := Char, args := [Term | Depth]} = Spec, Limit) when
    Char =:= $p; Char =:= $P; Char =:= $w; Char =:= $W
->
    %% `~P' and `~W' take the depth as another argument.
    Text = inspect(Term, hd(Depth ++ [Limit])),
    Spec#{control_char := $s, encoding := unicode, args := [Text], width := none, precision := none, adjust := right};
shown(Spec, _) -> Spec.

%% @doc The event as Elixir's Logger translates it, or `stop' if Logger drops it. Since Elixir 1.15, Logger translates
%% events in a primary filter, before they come here.
-spec translated(logger:log_event()) -> logger:log_event() | stop.
translated(#{msg := {string, _}} = Event) -> Event;
translated(#{msg := Message, level := Level, meta := Meta} = Event) ->
    try
        erlang:module_loaded('Elixir.Logger.Handler') andalso
            translate(application:get_env(logger, translators, []), level(Level), Message)
    of
        {ok, Text, More} -> Event#{msg := {string, Text}, meta := maps:merge(Meta, maps:from_list(More))};
        {ok, Text} -> Event#{msg := {string, Text}};
        skip -> skipped(Event);
        _ -> Event
    catch
        _:_ -> Event
    end.

%% Logger's translator skips each report with an unknown label, which is kept here. It also skips the crash of a process
%% that has asked not to be logged, which is dropped.
skipped(#{msg := {report, #{label := {proc_lib, crash}}}}) -> stop;
skipped(Event) -> Event.

translate(Translators, Level, Message) ->
    #{level := Least} = logger:get_primary_config(),
    {Kind, Data} = kind(Message),
    %% If an `Inspect' fails, the translator's own `inspect' would show the whole struct.
    Shown = case inspect(Data) of error -> redacted(Data); _ -> Data end,
    translate(Translators, [level(Least), Level, Kind, Shown]).

translate([{Module, Function} | Translators], Args) ->
    case apply(Module, Function, Args) of
        none -> translate(Translators, Args);
        Translated -> Translated
    end;
translate([], _) -> none.

kind({report, #{label := Label, report := Report} = Whole}) when map_size(Whole) =:= 2 -> {report, {Label, Report}};
kind({report, #{label := {error_logger, _}, format := Format, args := Args}}) -> {format, {Format, Args}};
kind({report, Report}) -> {report, {logger, Report}};
kind(FormatAndArgs) -> {format, FormatAndArgs}.

level(Level) when Level =:= debug; Level =:= all -> debug;
level(Level) when Level =:= info; Level =:= notice -> info;
level(warning) -> warn;
level(_) -> error.
