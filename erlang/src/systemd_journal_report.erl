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
fields(#{msg := {report, Report}} = Event, Callback) ->
    {Result, Fields} = called(Callback, Report),
    {Result, crash(Event, Report) ++ Fields};
fields(#{meta := #{crash_reason := _}} = Event, _) ->
    {ok, crash(Event, #{})};
fields(_, _) ->
    {ok, []}.

called(undefined, _) ->
    {ok, []};
called(Callback, Report) ->
    try
        {ok, [field(Field) || Field <- call(Callback, Report)]}
    catch
        Class:Reason:Stack ->
            Text = unicode:characters_to_binary(
                io_lib:format("~ts ~0tP at ~0tP", [Class, Reason, 20, Stack, 30])
            ),
            {{report_cb_failed, Text}, [{<<"REPORT_CB_ERROR">>, Text}]}
    end.

call(Callback, Report) when is_function(Callback, 1) -> Callback(Report);
call(Callback, Report) -> Callback(?PREFIX, Report).

field({Name, Value}) -> {systemd_journal_value:text(Name), systemd_journal_value:text(Value)}.

crash(#{level := error} = Event, Report) ->
    try reason(Report, Event) of
        {ok, Process, Reason} -> crash_fields(Process, split(Reason));
        none -> []
    catch
        %% It only looked like a report of OTP's.
        error:_ -> []
    end;
crash(_, _) ->
    [].

crash_fields(Process, {Reason, Stack}) ->
    [
        {<<"CRASH_PROCESS">>, process(Process)},
        {<<"CRASH_REASON">>, systemd_journal_value:text(Reason)},
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

process({_, Name}) when is_atom(Name) -> systemd_journal_value:text(Name);
process(Process) -> systemd_journal_value:text(Process).

stack(Stack) -> iolist_to_binary(lists:join($\n, [frame(Frame) || Frame <- Stack])).

frame({Module, Function, Arity, Location}) ->
    [systemd_journal_value:function({Module, Function, Arity}), place(Location)].

place(Location) ->
    case {lists:keyfind(file, 1, Location), lists:keyfind(line, 1, Location)} of
        {{_, File}, {_, Line}} ->
            [" (", systemd_journal_value:text(File), $:, systemd_journal_value:text(Line), $)];
        _ ->
            []
    end.
