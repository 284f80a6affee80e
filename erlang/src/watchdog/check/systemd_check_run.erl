%% @private
%% Runs checks, in the caller's process.
-module(systemd_check_run).

-export([prepare/1, run/3]).

-export_type([prepared/0, result/0]).

%% How long a process under check may take to answer, in milliseconds.
-define(TIME, 1000).

-type prepared() :: systemd_check:check() | {invalid, Part :: term(), Needs :: string()}.

-type result() :: true | {failed, Key :: term(), Text :: unicode:chardata(), Log :: unicode:chardata()}.
%% The key stays the same while the same thing fails. Only the log may contain what is long or secret.

%% Called with the name of each check before it runs.
-type progress() :: fun((unicode:chardata()) -> term()).

%% @doc Makes a check of the configured term. If the term is not a check, the result always fails.
-spec prepare(Check :: term()) -> prepared().
prepare(Check) ->
    case systemd_check:fault(Check) of
        none -> Check;
        {Part, Needs} -> {invalid, Part, Needs}
    end.

%% @doc Runs a check. What it needs to know the next time is in the table, as `{state, Check, Value}'.
-spec run(prepared(), ets:table(), progress()) -> result().
run({invalid, Part, Needs}, _, _) ->
    Args = [systemd_elixir:redacted(Part), 20, Needs],
    failed(Part, "can't be called: watchdog_check has ~0tP, which ~ts", Args);
run([], _, _) ->
    true;
run([Check | Checks], Table, Progress) ->
    case run(Check, Table, Progress) of
        true -> run(Checks, Table, Progress);
        Failed -> Failed
    end;
run({all, Checks}, Table, Progress) ->
    run(Checks, Table, Progress);
run({any, Checks}, Table, Progress) ->
    any(Checks, [], Table, Progress);
run({every, Millis, Check} = Every, Table, Progress) ->
    Now = erlang:monotonic_time(millisecond),
    case ets:lookup(Table, Every) of
        [{state, _, Passed}] when Now - Passed < Millis ->
            true;
        _ ->
            Result = run(Check, Table, Progress),
            Result =:= true andalso ets:insert(Table, {state, Every, Now}),
            Result
    end;
run({timeout, Millis, {Kind, _} = Check}, Table, Progress) when Kind =:= process; Kind =:= supervisor ->
    look(Check, Millis, Table, Progress);
run({timeout, Millis, {mailbox, _, _} = Check}, Table, Progress) ->
    look(Check, Millis, Table, Progress);
run({timeout, Millis, Check} = Timeout, Table, Progress) ->
    Caller = self(),
    Run = make_ref(),
    Tell = fun(Name) -> Caller ! {Run, running, Name}, Progress(Name) end,
    Pid = spawn_opt(fun() -> Caller ! {Run, returned, run(Check, Table, Tell)} end, [link, {priority, high}]),
    receive
        {Run, returned, Returned} -> Returned
    after Millis ->
        unlink(Pid),
        exit(Pid, kill),
        Name = last_looked_at(Run, "watchdog_check"),
        failed({Timeout, Name}, "~ts has not returned within ~b ms", [Name, Millis])
    end;
run(Check, Table, Progress) ->
    look(Check, ?TIME, Table, Progress).

any([], Failed, _, _) ->
    {Keys, Texts, Logs} = lists:unzip3(lists:reverse(Failed)),
    {failed, {any, Keys}, lists:join("; ", Texts), lists:join("; ", Logs)};
any([Check | Checks], Failed, Table, Progress) ->
    case run(Check, Table, Progress) of
        true -> true;
        {failed, Key, Text, Log} -> any(Checks, [{Key, Text, Log} | Failed], Table, Progress)
    end.

last_looked_at(Run, Name) ->
    receive {Run, running, Next} -> last_looked_at(Run, Next)
    after 0 -> Name
    end.

look(Check, Millis, Table, Progress) ->
    Name = systemd_check:name(Check),
    Progress(Name),
    case found(Check, Millis, Table) of
        true -> true;
        {Text, Log} -> {failed, Check, [Name, Text], [Name, Log]};
        Text -> failed(Check, "~ts~ts", [Name, Text])
    end.

found({schedulers, Millis}, _, Table) ->
    systemd_check_schedulers:run(Millis, Table);
found({run_queue, Max}, _, _) ->
    case erlang:statistics(total_run_queue_lengths) of
        Length when Length > Max -> io_lib:format(" ~b > ~b", [Length, Max]);
        _ -> true
    end;
found({memory, Limit} = Check, _, Table) ->
    case systemd_nif:memory(Limit) of
        unknown ->
            _ = ets:insert_new(Table, {state, Check, logged}) andalso
                systemd_log:say(warning, "systemd: watchdog_check has ~0tp, which cannot be checked on this system, so it passes", [
                    Check
                ]),
            true;
        Result ->
            Result
    end;
found({process, Name}, Millis, _) ->
    systemd_check_process:process(Name, Millis);
found({supervisor, Name}, Millis, _) ->
    systemd_check_process:supervisor(Name, Millis);
found({mailbox, Name, Max}, Millis, _) ->
    systemd_check_process:mailbox(Name, Max, Millis);
found(Function, _, _) ->
    returned(systemd_function:call(Function)).

returned({returned, true}) ->
    true;
returned({returned, false}) ->
    " returned false";
returned({returned, Other}) ->
    Log = io_lib:format(" returned ~0tP, which is neither true nor false", [systemd_elixir:redacted(Other), 20]),
    {" returned what is neither true nor false, see the log", Log};
returned({raised, _, _, Text} = Failure) ->
    {[" ", systemd_function:summary(Failure), ", see the log"], [" raised ", legible(Text)]}.

legible(Text) ->
    case unicode:characters_to_list(Text) of
        Chars when is_list(Chars) -> Chars;
        _ -> io_lib:format("~0tP", [Text, 20])
    end.

failed(Key, Format, Args) ->
    Text = io_lib:format(Format, Args),
    {failed, Key, Text, Text}.
