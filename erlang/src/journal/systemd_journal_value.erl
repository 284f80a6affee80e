%% @private
%% What comes into journal fields: any term as text, where the native library does not write it itself, and the fields that
%% come from a report.
-module(systemd_journal_value).

-export([report/2, text/2, term/2, language/1, exception/3]).

-export_type([language/0, callback/0]).

-type language() :: systemd_elixir:language().

-type callback() ::
    fun((logger:report()) -> [{term(), term()}])
    | fun((Prefix :: binary(), logger:report()) -> [{term(), term()}]).

%% Before the names of the fields that a `report_cb' of two arguments makes.
-define(PREFIX, <<"REPORT">>).

%% @doc In whose syntax the values of an event are written.
-spec language(logger:metadata()) -> language().
language(#{domain := [elixir | _]}) -> elixir;
%% From one of Logger's translators.
language(#{crash_reason := _}) -> elixir;
language(#{mfa := {Module, _, _}}) when is_atom(Module) -> systemd_elixir:language(Module);
language(_) -> erlang.

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

%% One line for each function.
stack(Stack) -> iolist_to_binary(lists:join($\n, [frame(Frame) || Frame <- Stack])).

frame({Module, Function, Args, Location}) when is_list(Args) ->
    frame({Module, Function, length(Args), Location});
frame({Module, Function, Arity, Location}) ->
    Separator = case systemd_elixir:language(Module) of elixir -> "."; erlang -> ":" end,
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

%% @doc Of a crash: what, who and where. Of any report: what `report_cb' says. When that fails,
%% the error is a field as well.
-spec report(logger:log_event(), callback() | undefined) ->
    {ok | {report_cb_failed, binary()}, systemd_journal:more()}.
report(#{msg := {report, Report}, meta := Meta} = Event, Callback) ->
    {Result, Fields} = called(Callback, Report, language(Meta)),
    {Result, crash(Event, Report) ++ Fields};
report(#{meta := #{crash_reason := _}} = Event, _) ->
    {ok, crash(Event, #{})};
report(_, _) ->
    {ok, []}.

called(undefined, _, _) ->
    {ok, []};
called(Callback, Report, Language) ->
    try
        {ok, [field(Field, Language) || Field <- call(Callback, Report)]}
    catch
        Class:Reason:Stack ->
            Text = unicode:characters_to_binary(exception(Class, Reason, Stack)),
            {{report_cb_failed, Text}, [{<<"REPORT_CB_ERROR">>, Text}]}
    end.

call(Callback, Report) when is_function(Callback, 1) -> Callback(Report);
call(Callback, Report) -> Callback(?PREFIX, Report).

field({Name, Value}, Language) -> {name(Name), text(flat(Value), Language)}.

name(Name) when is_atom(Name) ->
    atom_to_binary(Name);
name(Name) ->
    try <<_/binary>> = unicode:characters_to_binary(Name)
    catch error:_ -> text(Name, erlang)
    end.

%% As `io_lib:format/2' returns it.
flat(Value) ->
    case is_list(Value) andalso io_lib:deep_unicode_char_list(Value) of
        true -> unicode:characters_to_list(Value);
        false -> Value
    end.

crash(#{level := error, meta := Meta} = Event, Report) ->
    try reason(Report, Event) of
        {ok, Process, Reason} ->
            %% Elixir has made an exception of it.
            Given = maps:get(crash_reason, Meta, Reason),
            crash_fields(Process, split(Given), language(Meta));
        none -> []
    catch
        %% It only looked like a report of OTP's.
        error:_ -> []
    end;
crash(_, _) ->
    [].

crash_fields(Process, {Reason, Stack}, Language) ->
    [
        {<<"CRASH_PROCESS">>, process(Process, Language)},
        {<<"CRASH_REASON">>, text(Reason, Language)},
        {<<"CRASH_STACK">>, stack(Stack)}
    ].

%% The reports of OTP's behaviours, and what Elixir's Logger makes of them.
reason(#{label := {proc_lib, crash}, report := [Info | _]}, #{meta := Meta}) when is_list(Info) ->
    Pid = maps:get(pid, Meta, undefined),
    case proplists:get_value(registered_name, Info, []) of
        [] -> {ok, proplists:get_value(pid, Info, Pid), proplists:get_value(error_info, Info)};
        Name -> {ok, Name, proplists:get_value(error_info, Info)}
    end;
reason(#{label := {supervisor, _}, report := Info}, _) when is_list(Info) ->
    {ok, proplists:get_value(supervisor, Info), proplists:get_value(reason, Info)};
reason(#{label := {_, _}, name := Name, reason := Reason}, _) ->
    {ok, Name, Reason};
reason(#{label := {_, terminating}, report := #{name := Name, reason := Reason}}, _) ->
    {ok, Name, Reason};
reason(_, #{meta := #{crash_reason := Reason} = Meta}) ->
    {ok, maps:get(registered_name, Meta, maps:get(pid, Meta, undefined)), Reason};
reason(_, _) ->
    none.

split({Class, Reason, Stack}) when
    Class =:= error, is_list(Stack); Class =:= exit, is_list(Stack); Class =:= throw, is_list(Stack)
->
    {Reason, frames(Stack)};
split({Reason, Stack} = Whole) ->
    case is_stack(Stack) of
        true -> {Reason, Stack};
        false -> {Whole, []}
    end;
split(Reason) ->
    {Reason, []}.

frames(Stack) ->
    case is_stack(Stack) of
        true -> Stack;
        false -> []
    end.

%% A reason that holds data of the user's may look like one at first.
is_stack(Stack) when length(Stack) > 0 -> lists:all(fun is_frame/1, Stack);
is_stack(_) -> false.

is_frame({Module, Function, Arity, Location}) when is_integer(Arity); length(Arity) >= 0 ->
    is_atom(Module) andalso is_atom(Function) andalso is_list(Location);
is_frame(_) ->
    false.

process({_, Name}, Language) when is_atom(Name) -> process(Name, Language);
process(Process, _) when is_pid(Process) -> list_to_binary(pid_to_list(Process));
process(Process, Language) -> text(Process, Language).
