%% @private
%% Runs checks, in the caller's process.
-module(systemd_check_run).

-export([run/3]).

%% How long what is asked has to answer, in milliseconds.
-define(TIME, 1000).

-type say() :: fun((unicode:chardata()) -> term()).

-spec run(systemd_check:check(), systemd_check:memory(), say()) ->
    {systemd_check:result(), systemd_check:memory()}.
run([], Memory, _) ->
    {true, Memory};
run([Check | Checks], Memory, Say) ->
    case run(Check, Memory, Say) of
        {true, Next} -> run(Checks, Next, Say);
        Failed -> Failed
    end;
run({all, Checks}, Memory, Say) ->
    run(Checks, Memory, Say);
run({any, Checks}, Memory, Say) ->
    any(Checks, [], Memory, Say);
run({every, Millis, Check} = Every, Memory, Say) ->
    Now = erlang:monotonic_time(millisecond),
    case Memory of
        #{Every := Passed} when Now - Passed < Millis ->
            {true, Memory};
        #{} ->
            case run(Check, Memory, Say) of
                {true, Next} -> {true, Next#{Every => Now}};
                Failed -> Failed
            end
    end;
run({timeout, Millis, {Kind, _} = Check}, Memory, Say) when Kind =:= process; Kind =:= supervisor ->
    look(Check, Millis, Memory, Say);
run({timeout, Millis, {mailbox, _, _} = Check}, Memory, Say) ->
    look(Check, Millis, Memory, Say);
run({timeout, Millis, Check} = Timeout, Memory, Say) ->
    Runner = self(),
    Run = make_ref(),
    Tell = fun(Name) -> Runner ! {Run, looks_at, Name}, Say(Name) end,
    Pid = spawn_opt(
        fun() -> Runner ! {Run, returned, run(Check, Memory, Tell)} end, [link, {priority, high}]
    ),
    receive
        {Run, returned, Returned} -> Returned
    after Millis ->
        unlink(Pid),
        exit(Pid, kill),
        Name = last_looked_at(Run, "watchdog_check"),
        {failed({Timeout, Name}, "~ts has not returned within ~b ms", [Name, Millis]), Memory}
    end;
run(Check, Memory, Say) ->
    look(Check, ?TIME, Memory, Say).

any([], Failed, Memory, _) ->
    {Keys, Texts, Logs} = lists:unzip3(lists:reverse(Failed)),
    {{failed, {any, Keys}, lists:join("; ", Texts), lists:join("; ", Logs)}, Memory};
any([Check | Checks], Failed, Memory, Say) ->
    case run(Check, Memory, Say) of
        {true, Next} -> {true, Next};
        {{failed, Key, Text, Log}, Next} -> any(Checks, [{Key, Text, Log} | Failed], Next, Say)
    end.

last_looked_at(Run, Name) ->
    receive {Run, looks_at, Next} -> last_looked_at(Run, Next)
    after 0 -> Name
    end.

look(Check, Millis, Memory, Say) ->
    Name = systemd_check_form:name(Check),
    Say(Name),
    case found(Check, Millis, Memory) of
        {true, Next} -> {true, Next};
        {{Text, Log}, Next} -> {{failed, Check, [Name, Text], [Name, Log]}, Next};
        {Text, Next} -> {failed(Check, "~ts~ts", [Name, Text]), Next}
    end.

found({schedulers, Millis} = Check, _, Memory) ->
    {Found, Waiting} = systemd_check_schedulers:run(Millis, maps:get(Check, Memory, #{})),
    {Found, Memory#{Check => Waiting}};
found({run_queue, Max}, _, Memory) ->
    case erlang:statistics(total_run_queue_lengths) of
        Length when Length > Max -> {io_lib:format(" ~b > ~b", [Length, Max]), Memory};
        _ -> {true, Memory}
    end;
found({memory, Limit} = Check, _, Memory) ->
    case systemd_check_memory:run(Limit, "") of
        unknown when is_map_key(Check, Memory) ->
            {true, Memory};
        unknown ->
            systemd_log:say(
                warning, "systemd: watchdog_check has ~0tp, which can't be told here, and passes", [Check]
            ),
            {true, Memory#{Check => unknown}};
        Found ->
            {Found, Memory}
    end;
found({process, Name}, Millis, Memory) ->
    {systemd_check_process:process(Name, Millis), Memory};
found({supervisor, Name}, Millis, Memory) ->
    {systemd_check_process:supervisor(Name, Millis), Memory};
found({mailbox, Name, Max}, Millis, Memory) ->
    {systemd_check_process:mailbox(Name, Max, Millis), Memory};
found(Function, _, Memory) ->
    {returned(systemd_function:call(Function)), Memory}.

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
