%% @private
%% The fields that come from a report.
-module(systemd_journal_report).

-export([fields/2]).

-export_type([callback/0]).

-type callback() ::
    fun((logger:report()) -> [{term(), term()}])
    | fun((Prefix :: binary(), logger:report()) -> [{term(), term()}]).

%% Before the names of the fields that a `report_cb' of two arguments makes.
-define(PREFIX, <<"REPORT">>).

%% @doc Of a crash: what, who and where. Of any report: what `report_cb' says. When that fails,
%% the error is a field as well.
-spec fields(logger:log_event(), callback() | undefined) ->
    {ok | {report_cb_failed, binary()}, systemd_journal:more()}.
fields(#{msg := {report, Report}, meta := Meta} = Event, Callback) ->
    {Result, Fields} = called(Callback, Report, systemd_journal_value:language(Meta)),
    {Result, crash(Event, Report) ++ Fields};
fields(#{meta := #{crash_reason := _}} = Event, _) ->
    {ok, crash(Event, #{})};
fields(_, _) ->
    {ok, []}.

called(undefined, _, _) ->
    {ok, []};
called(Callback, Report, Language) ->
    try
        {ok, [field(Field, Language) || Field <- call(Callback, Report)]}
    catch
        Class:Reason:Stack ->
            Text = unicode:characters_to_binary(systemd_journal_value:exception(Class, Reason, Stack)),
            {{report_cb_failed, Text}, [{<<"REPORT_CB_ERROR">>, Text}]}
    end.

call(Callback, Report) when is_function(Callback, 1) -> Callback(Report);
call(Callback, Report) -> Callback(?PREFIX, Report).

field({Name, Value}, Language) -> {name(Name), systemd_journal_value:text(flat(Value), Language)}.

name(Name) when is_atom(Name) ->
    atom_to_binary(Name);
name(Name) ->
    try <<_/binary>> = unicode:characters_to_binary(Name)
    catch error:_ -> systemd_journal_value:text(Name, erlang)
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
            crash_fields(Process, split(Given), systemd_journal_value:language(Meta));
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
        {<<"CRASH_REASON">>, systemd_journal_value:text(Reason, Language)},
        {<<"CRASH_STACK">>, systemd_journal_value:stack(Stack)}
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
process(Process, Language) -> systemd_journal_value:text(Process, Language).
