%% @private
%% Runs the user's functions. Each runs in a process of its own, which may hang or crash without harm. A second process
%% watches it.
-module(systemd_function).

-export([start_link/3, stop/1, outcome/1, current/0, extend/1, log_where/1]).
-export([call/1, is_callable/1, describe/1, summary/1, complain/3]).
-export([watch/4, run/2]).

-export_type([options/0, outcome/0, failure/0]).

-type options() :: #{
    priority => erlang:priority_level(),
    %% After this many milliseconds, the log says where the function is.
    late => pos_integer(),
    %% After this many milliseconds, the function is ended.
    limit => timeout()
}.

-type outcome() :: {returned, term()} | failure().

-type failure() :: raised() | {ended, Reason :: term()} | {not_done, Millis :: pos_integer(), stack()}.

-type raised() ::
    {raised, error | exit | throw, Reason :: term(), Text :: io_lib:chars()} | {invalid, Config :: term()}.

-type complaint() :: failure() | {late, Millis :: pos_integer(), stack()} | {no_text, Returned :: term()}.

-type stack() :: [tuple()] | unknown.

%% How long to wait for a stack trace, in milliseconds. A process in a long native call does not answer.
-define(STACK_TIMEOUT, 1000).

%% @doc Calls the function of the config key `What', or of the function `What' of this library. The caller must trap
%% exits. It gets an `EXIT' from the returned process, with a reason for {@link outcome/1}.
-spec start_link(What :: atom(), Function :: term(), options()) -> pid().
start_link(What, Function, Options) -> spawn_link(?MODULE, watch, [What, Function, Options, self()]).

%% @doc Ends the function. It also ends when the caller ends.
-spec stop(pid()) -> ok.
stop(Watch) ->
    true = exit(Watch, shutdown),
    ok.

-spec log_where(pid()) -> ok.
log_where(Watch) -> send(Watch, log_where).

%% @doc If the calling function has a limit, gives it at least this many more milliseconds.
-spec extend(Millis :: pos_integer()) -> ok.
extend(Millis) -> send(current(), {extend, Millis}).

%% @doc The process that {@link start_link/3} returned for the calling function.
-spec current() -> pid() | undefined.
current() -> get(?MODULE).

send(undefined, _) -> ok;
send(Watch, Message) -> Watch ! {?MODULE, Message}, ok.

-spec outcome(ExitReason :: term()) -> outcome().
outcome({shutdown, {?MODULE, Outcome}}) -> Outcome;
outcome(Reason) -> {ended, Reason}.

-spec watch(atom(), term(), options(), pid()) -> no_return().
watch(What, Function, Options, Owner) ->
    _ = process_flag(trap_exit, true),
    _ = process_flag(priority, high),
    Since = now_millis(),
    Runner = spawn_opt(?MODULE, run, [Function, self()], [link, {priority, maps:get(priority, Options, normal)}]),
    Deadline = fun(infinity) -> infinity; (Millis) -> Since + Millis end,
    [Late, Limit] = [Deadline(maps:get(Key, Options, infinity)) || Key <- [late, limit]],
    watch(#{
        what => What, function => Function, owner => Owner, runner => Runner,
        since => Since, late => Late, deadline => Limit
    }).

watch(#{owner := Owner, runner := Runner, since := Since, late := Late, deadline := Deadline} = Watch) ->
    receive
        {'EXIT', Runner, Reason} ->
            exit_with(outcome(Reason));
        {'EXIT', Owner, _} ->
            exit(Runner, kill),
            exit(shutdown);
        {?MODULE, log_where} ->
            log_where(now_millis() - Since, Watch),
            watch(Watch);
        {?MODULE, {extend, Millis}} ->
            watch(Watch#{deadline := max(Deadline, systemd_wait:deadline(Millis))});
        _ ->
            watch(Watch)
    after systemd_wait:rest(min(Late, Deadline)) ->
        case systemd_wait:rest(Deadline) of
            0 ->
                Stack = stack(Runner),
                exit(Runner, kill),
                exit_with({not_done, Deadline - Since, Stack});
            _ ->
                log_where(Late - Since, Watch),
                watch(Watch#{late := infinity})
        end
    end.

%% The reason is `shutdown', so that processes that the function has left linked end without a crash report.
-spec exit_with(outcome()) -> no_return().
exit_with(Outcome) -> exit({shutdown, {?MODULE, Outcome}}).

-spec run(Function :: term(), Watch :: pid()) -> no_return().
run(Function, Watch) ->
    _ = put(?MODULE, Watch),
    exit_with(call(Function)).

%% In a process of its own, because a process in a long native call does not return its stack at once.
log_where(Millis, #{what := What, function := Function, runner := Runner}) ->
    _ = spawn(fun() ->
        case stack(Runner) of
            ended -> ok;
            Stack -> complain(What, Function, {late, Millis, Stack})
        end
    end),
    ok.

-spec stack(pid()) -> stack() | ended.
stack(Pid) ->
    case systemd_wait:process_info(Pid, current_stacktrace, ?STACK_TIMEOUT) of
        {ok, Stack} -> Stack;
        ended -> ended;
        late -> unknown
    end.

now_millis() -> erlang:monotonic_time(millisecond).

-spec is_callable(term()) -> boolean().
is_callable({Module, Function, Args}) -> is_atom(Module) andalso is_atom(Function) andalso is_list(Args);
is_callable(Function) -> is_function(Function, 0).

%% @doc Calls the function in the calling process.
-spec call(Function :: term()) -> {returned, term()} | raised().
call(Function) ->
    try
        case {is_callable(Function), Function} of
            {true, {Module, Name, Args}} -> {returned, apply(Module, Name, Args)};
            {true, Fun} -> {returned, Fun()};
            {false, _} -> {invalid, Function}
        end
    catch
        Class:Reason:Stack -> {raised, Class, Reason, text(Class, Reason, Stack)}
    end.

%% If Elixir is loaded, it formats its exceptions, with their own code.
text(Class, Reason, Stack) ->
    Places = [without_arguments(Frame) || Frame <- Stack],
    Elixir = 'Elixir.Exception',
    case erlang:function_exported(Elixir, format, 3) of
        true -> Elixir:format(Class, Reason, Places);
        false -> io_lib:format("~ts ~0tP at ~0tP", [Class, systemd_elixir:redacted(Reason), 20, Places, 30])
    end.

%% Arguments may be long, or secret.
without_arguments({Module, Function, Args, Location}) when is_list(Args) ->
    {Module, Function, length(Args), Location};
without_arguments(Frame) ->
    Frame.

%% @doc Logs a failure, once while it repeats.
-spec complain(What :: atom(), Function :: term(), {returned, term()} | complaint()) -> ok.
complain(_, _, {returned, _}) ->
    ok;
complain(What, Function, Failure) ->
    {Format, Args} = describe(Failure),
    Kind = {What, kind_of(Function), Format},
    systemd_log:once(Kind, error, "systemd: the function of ~ts " ++ Format, [What | Args]).

%% Failures of one function are of one kind, whatever its arguments are.
kind_of({Module, Function, _}) -> {Module, Function};
kind_of(Fun) when is_function(Fun) -> [erlang:fun_info(Fun, Item) || Item <- [module, name]];
kind_of(_) -> none.

-spec describe(complaint()) -> {io:format(), [term()]}.
describe({no_text, Result}) -> {"returned ~0tP, which is not text", [systemd_elixir:redacted(Result), 20]};
describe({late, Millis, Stack}) -> {"has not returned after ~b ms; it is at ~0tP", [Millis, Stack, 30]};
describe({raised, _, _, Text}) -> {"raised ~ts", [Text]};
describe({ended, Reason}) -> {"was ended by an exit signal: ~0tP", [systemd_elixir:redacted(Reason), 20]};
describe({not_done, Millis, Stack}) -> {"not done after ~b ms, at ~0tP", [Millis, Stack, 30]};
describe({invalid, Config}) ->
    {"can't be called: ~0tP is neither {M, F, A} nor fun/0", [systemd_elixir:redacted(Config), 20]}.

%% @doc The failure without what may be long or secret, because every user can read the status.
-spec summary(failure()) -> io_lib:chars().
summary({raised, Class, Reason, _}) -> io_lib:format("raised ~ts ~0tp", [Class, kind(Reason)]);
summary({ended, Reason}) -> io_lib:format("was ended by an exit signal ~0tp", [kind(Reason)]);
summary({not_done, Millis, [{Module, Function, Arity, _} | _]}) ->
    io_lib:format("not done after ~b ms, at ~0tp:~0tp/~b", [Millis, Module, Function, Arity]);
summary({not_done, Millis, _}) ->
    io_lib:format("not done after ~b ms", [Millis]);
summary({invalid, _}) -> "can't be called".

kind(#{'__struct__' := Exception}) -> Exception;
kind(Reason) when is_tuple(Reason), tuple_size(Reason) > 0 -> kind(element(1, Reason));
kind(Reason) when is_atom(Reason) -> Reason;
kind(_) -> term.
