%% @private
%% What only Elixir knows of its terms and its reports, where there is Elixir.
-module(systemd_elixir).

-export([is_there/0, redacted/1, inspect/1, to_text/1, message/2, translated/1]).

-define(LIMITS, [{limit, 100}, {printable_limit, 8192}]).

%% @doc Its application has been loaded. In a VM without it nothing has to be looked through for structs.
-spec is_there() -> boolean().
is_there() -> erlang:module_loaded(elixir).

%% @doc The term with each struct in it, however deep, as the text that its `Inspect' makes of it: a struct may
%% keep fields from being shown, which Erlang's `~p' knows nothing of.
-spec redacted(term()) -> term().
redacted(Term) ->
    case is_there() of
        true -> without_structs(Term);
        false -> Term
    end.

without_structs(#{'__struct__' := Name} = Struct) when is_atom(Name) ->
    case inspect(Struct) of
        {ok, Text} -> Text;
        error -> iolist_to_binary(["#Inspect.Error<", atom_to_binary(Name), ">"])
    end;
without_structs(Map) when is_map(Map) ->
    maps:from_list(without_structs(maps:to_list(Map)));
without_structs([First | Rest]) ->
    [without_structs(First) | without_structs(Rest)];
without_structs(Tuple) when is_tuple(Tuple) ->
    list_to_tuple(without_structs(tuple_to_list(Tuple)));
without_structs(Term) ->
    Term.

%% @doc By Elixir's `inspect', within limits. An implementation of `Inspect' may fail; then Elixir would show the
%% whole struct.
-spec inspect(term()) -> {ok, binary()} | error.
inspect(Term) ->
    try {ok, 'Elixir.Kernel':inspect(Term, [{safe, false} | ?LIMITS])}
    catch _:_ -> error
    end.

%% @doc What an exception or a struct says of itself, by its `message/1' or `String.Chars'.
-spec to_text(map()) -> {ok, binary()} | error.
to_text(#{'__exception__' := true} = Exception) ->
    try {ok, iolist_to_binary('Elixir.Exception':format_banner(error, Exception))}
    catch _:_ -> error
    end;
to_text(Struct) ->
    try {ok, iolist_to_binary('Elixir.String.Chars':to_string(Struct))}
    catch _:_ -> error
    end.

%% @doc A message as Elixir's console has it: `~p' and `~w' are what `inspect' writes.
-spec message(Message, logger:metadata()) -> Message | {string, unicode:chardata()} when
    Message :: {string, unicode:chardata()} | {report, logger:report()} | {io:format(), [term()]}.
message({string, _} = Message, _) ->
    Message;
message(Message, Meta) ->
    try {string, message_text(Message, Meta)}
    catch _:_ -> redacted(Message)
    end.

message_text({report, Report}, #{report_cb := Callback}) when is_function(Callback, 1) ->
    {Format, Args} = Callback(Report),
    message_text({Format, Args}, #{});
message_text({report, Report}, #{report_cb := Callback}) when is_function(Callback, 2) ->
    {module, Module} = erlang:fun_info(Callback, module),
    Given = case systemd_journal_value:language_of(Module) of elixir -> Report; erlang -> redacted(Report) end,
    Callback(Given, #{depth => unlimited, chars_limit => unlimited, single_line => false});
message_text({report, #{'__struct__' := _} = Struct}, _) ->
    inspect_or_raise(Struct);
message_text({report, Report}, _) when is_map(Report) ->
    inspect_or_raise(maps:to_list(Report));
message_text({report, Report}, _) ->
    inspect_or_raise(Report);
message_text({Format, Args}, _) ->
    io_lib:build_text([shown(Spec) || Spec <- io_lib:scan_format(Format, Args)]).

shown(#{control_char := Char, args := [Term | _]} = Spec) when Char =:= $p; Char =:= $P; Char =:= $w; Char =:= $W ->
    Text = inspect_or_raise(Term),
    Spec#{control_char := $s, encoding := unicode, args := [Text], width := none, precision := none, adjust := right};
shown(Spec) ->
    Spec.

inspect_or_raise(Term) ->
    {ok, Text} = inspect(Term),
    Text.

%% @doc The event as Elixir's Logger has it translated, or `stop' where that leaves it out. From Elixir 1.15 on a
%% primary filter has done this before.
-spec translated(logger:log_event()) -> logger:log_event() | stop.
translated(#{msg := {string, _}} = Event) ->
    Event;
translated(#{msg := Message, level := Level, meta := Meta} = Event) ->
    case erlang:module_loaded('Elixir.Logger.Handler') of
        true ->
            try translate(application:get_env(logger, translators, []), level(Level), Message) of
                {ok, Text, More} -> Event#{msg := {string, Text}, meta := maps:merge(Meta, maps:from_list(More))};
                {ok, Text} -> Event#{msg := {string, Text}};
                skip -> stop;
                none -> Event
            catch
                _:_ -> Event
            end;
        false ->
            Event
    end.

translate(Translators, Level, Message) ->
    #{level := Least} = logger:get_primary_config(),
    {Kind, Data} = kind(Message),
    translate(Translators, [level(Least), Level, Kind, Data]).

translate([{Module, Function} | Translators], Args) ->
    case apply(Module, Function, Args) of
        none -> translate(Translators, Args);
        Translated -> Translated
    end;
translate([], _) ->
    none.

kind({report, #{label := Label, report := Report} = Whole}) when map_size(Whole) =:= 2 ->
    {report, {Label, Report}};
kind({report, #{label := {error_logger, _}, format := Format, args := Args}}) ->
    {format, {Format, Args}};
kind({report, Report}) ->
    {report, {logger, Report}};
kind({Format, Args}) ->
    {format, {Format, Args}}.

level(Level) when Level =:= debug; Level =:= all -> debug;
level(Level) when Level =:= info; Level =:= notice -> info;
level(warning) -> warn;
level(_) -> error.
