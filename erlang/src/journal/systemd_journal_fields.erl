%% @private
%% Makes journal fields from a report or a crash. Formats terms as the text of a field, if the native library does not
%% do it.
-module(systemd_journal_fields).

-export([report/2, text/2, term/2, language/1, exception/3]).

%% @doc The language for the syntax of an event's values.
-spec language(logger:metadata()) -> systemd_elixir:language().
language(#{domain := [elixir | _]}) -> elixir;
%% A translator of Elixir's Logger has set it.
language(#{crash_reason := _}) -> elixir;
language(#{mfa := {Module, _, _}}) when is_atom(Module) -> systemd_elixir:language(Module);
language(_) -> erlang.

%% @doc Text stays as it is, `undefined' and `nil' become empty, and any other value is formatted as a term.
-spec text(term(), systemd_elixir:language()) -> binary().
text(Value, Language) ->
    case own_text(Value) of
        <<Text/binary>> -> Text;
        _ -> term(Value, Language)
    end.

own_text(Value) when Value =:= undefined; Value =:= nil -> <<>>;
own_text(Value) when is_atom(Value) -> systemd_elixir:name(Value);
own_text(Value) when is_binary(Value) -> is_printable(Value) andalso Value;
own_text([_ | _] = Value) -> io_lib:printable_unicode_list(Value) andalso utf8(Value);
own_text(#{'__struct__' := _} = Value) -> systemd_elixir:is_loaded() andalso systemd_elixir:to_text(Value);
own_text(_) -> false.

%% The rule of `io_lib:printable_unicode_list/1', without a list of the characters.
is_printable(<<Char/utf8, Rest/binary>>) when
    Char >= 16#20, Char < 16#7F;
    Char >= 16#A0, Char < 16#FFFE;
    Char > 16#FFFF;
    Char >= $\b, Char =< $\r;
    Char =:= $\e
->
    is_printable(Rest);
is_printable(Rest) -> Rest =:= <<>>.

%% @doc Formats a term. In both languages, each struct in it is written by its `Inspect'.
-spec term(term(), systemd_elixir:language()) -> binary().
term(Value, elixir) ->
    case systemd_elixir:is_loaded() andalso systemd_elixir:inspect(Value) of
        <<Text/binary>> -> Text;
        _ -> term(Value, erlang)
    end;
term(Value, erlang) ->
    case systemd_elixir:redacted(Value) of
        %% The value was a struct.
        Text when is_binary(Text), not is_binary(Value) -> Text;
        Redacted -> utf8(io_lib:format("~0tp", [Redacted]))
    end.

utf8(Chars) -> <<_/binary>> = unicode:characters_to_binary(Chars).

%% @doc An exception and its stack trace, without the arguments, which may be long or secret.
-spec exception(error | exit | throw, Reason :: term(), [tuple()]) -> unicode:chardata().
exception(Class, Reason, Stack) ->
    [atom_to_list(Class), $\s, text(Reason, erlang), " at ", lists:join(", ", [frame(Frame) || Frame <- Stack])].

stack(Stack) -> iolist_to_binary(lists:join($\n, [frame(Frame) || Frame <- Stack])).

frame({Module, Function, Args, Location}) when is_list(Args) ->
    frame({Module, Function, length(Args), Location});
frame({Module, Function, Arity, Location}) ->
    [systemd_elixir:function(Module, Function, Arity), location_text(Location)];
frame({Fun, Args, Location}) when is_function(Fun) ->
    {module, Module} = erlang:fun_info(Fun, module),
    {name, Name} = erlang:fun_info(Fun, name),
    frame({Module, Name, Args, Location}).

location_text(Location) ->
    case {lists:keyfind(file, 1, Location), lists:keyfind(line, 1, Location)} of
        {{_, File}, {_, Line}} -> [" (", text(File, erlang), $:, text(Line, erlang), $)];
        _ -> []
    end.

%% @doc The fields of a crash (what, who and where), and the fields that `report_cb' returns for any report. If
%% `report_cb' fails, the error is a field.
-spec report(logger:log_event(), systemd_journal_h:report_cb() | undefined) ->
    {ok, systemd_journal:more()} | {failed, systemd_journal:more(), Why :: unicode:chardata()}.
report(#{msg := Message, meta := Meta} = Event, Callback) ->
    Crash = crash(Event),
    try
        {ok, Crash ++ [field(Field, language(Meta)) || Field <- report_fields(Callback, Message)]}
    catch
        Class:Reason:Stack ->
            Text = unicode:characters_to_binary(exception(Class, Reason, Stack)),
            {failed, Crash ++ [{<<"REPORT_CB_ERROR">>, Text}], ["report_cb failed: ", Text]}
    end.

report_fields(Callback, {report, Report}) when is_function(Callback, 1) -> Callback(Report);
report_fields(Callback, {report, Report}) when is_function(Callback, 2) -> Callback(<<"REPORT">>, Report);
report_fields(_, _) -> [].

field({Name, Value}, Language) ->
    case io_lib:deep_unicode_char_list(Value) of
        %% A deep list, as `io_lib:format/2' returns it.
        true -> {name(Name), text(lists:flatten(Value), Language)};
        false -> {name(Name), text(Value, Language)}
    end.

name(Name) when is_atom(Name) -> atom_to_binary(Name);
name(Name) ->
    try <<_/binary>> = unicode:characters_to_binary(Name)
    catch error:_ -> text(Name, erlang)
    end.

crash(#{level := error} = Event) ->
    try crash_fields(Event)
    %% The report only looked like one of OTP.
    catch error:_ -> []
    end;
crash(_) -> [].

crash_fields(#{msg := Message, meta := Meta}) ->
    case reason(Message, Meta) of
        {Process, Found} ->
            %% Elixir's Logger has made an exception of the reason.
            {Reason, Stack} = split(maps:get(crash_reason, Meta, Found)),
            Language = language(Meta),
            [
                {<<"CRASH_PROCESS">>, process(Process, Language)},
                {<<"CRASH_REASON">>, text(Reason, Language)},
                {<<"CRASH_STACK">>, stack(Stack)}
            ];
        none ->
            []
    end.

%% The reports of OTP's behaviours, and what Elixir's Logger makes of them.
reason({report, #{label := {proc_lib, crash}, report := [Info | _]}}, Meta) when is_list(Info) ->
    Reason = proplists:get_value(error_info, Info),
    case proplists:get_value(registered_name, Info, []) of
        [] -> {proplists:get_value(pid, Info, maps:get(pid, Meta, undefined)), Reason};
        Name -> {Name, Reason}
    end;
reason({report, #{label := {supervisor, _}, report := Info}}, _) when is_list(Info) ->
    {proplists:get_value(supervisor, Info), proplists:get_value(reason, Info)};
reason({report, #{label := {_, _}, name := Name, reason := Reason}}, _) -> {Name, Reason};
reason({report, #{label := {_, terminating}, report := #{name := Name, reason := Reason}}}, _) -> {Name, Reason};
reason(_, #{crash_reason := Reason} = Meta) ->
    {maps:get(registered_name, Meta, maps:get(pid, Meta, undefined)), Reason};
reason(_, _) -> none.

split({Class, Reason, Stack}) when is_list(Stack), Class =:= error orelse Class =:= exit orelse Class =:= throw ->
    {Reason, frames(Stack)};
split({Reason, Stack} = Whole) ->
    case frames(Stack) of
        [] -> {Whole, []};
        Frames -> {Reason, Frames}
    end;
split(Reason) -> {Reason, []}.

%% No frames if the list only looks like a stack trace: a reason may contain any data of the user.
frames(Stack) when length(Stack) >= 0 -> [Frame || lists:all(fun is_frame/1, Stack), Frame <- Stack];
frames(_) -> [].

is_frame({Module, Function, Arity, Location}) when is_integer(Arity); length(Arity) >= 0 ->
    is_atom(Module) andalso is_atom(Function) andalso is_list(Location);
is_frame(_) -> false.

process({_, Name}, Language) when is_atom(Name) -> process(Name, Language);
process(Process, _) when is_pid(Process) -> list_to_binary(pid_to_list(Process));
process(Process, Language) -> text(Process, Language).
