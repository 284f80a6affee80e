%% @doc Ready-made checks for the config key `watchdog_check'.
%% ```
%% [{systemd, [{watchdog_check, [
%%     {schedulers, 1000},
%%     {memory, 0.9},
%%     {process, my_server},
%%     {every, 10000, {my_app, well, []}}
%% ]}]}].
%% '''
%% A check is a plain term, so that `sys.config' can hold it: `{all, Checks}', `{any, Checks}',
%% `{every, Millis, Check}', `{timeout, Millis, Check}', `{schedulers, Millis}', `{run_queue, Max}', `{memory, Limit}',
%% `{process, Name}', `{mailbox, Name, Max}' or `{supervisor, Name}'. For each of these terms there is a function here,
%% which returns it. The function's documentation says when the check passes. `{Module, Function, Args}' and `fun/0'
%% pass if they return `true'. A list passes if all checks in it pass.
%%
%% At each ping, that is every `WatchdogSec=' / `watchdog_scale', the checks run one after the other in one process at
%% high priority. While a check fails, the library sends no `WATCHDOG=1', and the log and the status say which check
%% fails and why. A term that is not a check fails. Outside of systemd, or without `WatchdogSec=' in the unit, no check
%% runs. See systemd.service(5).
-module(systemd_check).

-export([all/1, any/1, every/2, timeout/2]).
-export([schedulers/1, run_queue/1, memory/1, process/1, mailbox/2, supervisor/1]).
-export([is_check/1, fault/1, name/1, name_of/1]).

-export_type([check/0, name/0, memory_limit/0]).

-type check() ::
    {all, [check()]} | {any, [check(), ...]} | [check()]
    | {every, Millis :: pos_integer(), check()} | {timeout, Millis :: pos_integer(), check()}
    | {schedulers, Millis :: pos_integer()} | {run_queue, Max :: non_neg_integer()} | {memory, memory_limit()}
    | {process, name()} | {mailbox, name(), Max :: non_neg_integer()} | {supervisor, name()}
    | {module(), Function :: atom(), Args :: [term()]} | fun(() -> boolean()).

-type name() :: atom() | pid() | {global, term()} | {via, module(), term()}.
%% A process that is on another node passes: that node has to check it.

-type memory_limit() :: Bytes :: pos_integer() | Share :: float().
%% A share is above 0 and at most 1.0.

-define(IS_MILLIS(Millis), is_integer(Millis), Millis > 0, Millis < 1 bsl 32).
-define(IS_COUNT(Count), is_integer(Count), Count >= 0).

%% @doc Passes if all checks pass. Stops at the first one that fails.
-spec all([check()]) -> {all, [check()]}.
all(Checks) -> {all, Checks}.

%% @doc Passes if one of the checks passes. Stops at the first one that passes.
-spec any([check(), ...]) -> {any, [check(), ...]}.
any(Checks) -> {any, Checks}.

%% @doc After the check has passed, it does not run again for this many milliseconds. A check that fails runs at each
%% ping.
-spec every(Millis :: pos_integer(), check()) -> {every, pos_integer(), check()}.
every(Millis, Check) -> {every, Millis, Check}.

%% @doc Fails if the check has not returned after this many milliseconds, and kills its process. For {@link process/1},
%% {@link mailbox/2} and {@link supervisor/1}, this replaces their limit of 1000 ms.
-spec timeout(Millis :: pos_integer(), check()) -> {timeout, pos_integer(), check()}.
timeout(Millis, Check) -> {timeout, Millis, Check}.

%% @doc Passes if every online scheduler, the dirty CPU pool and the dirty IO pool each run a process within this many
%% milliseconds. The process has high priority, so that load alone does not fail this check. It fails if something
%% blocks a scheduler, such as a native function that does not return. A pool fails only if all of its threads are busy
%% for that long: allow more time than your longest dirty jobs take.
-spec schedulers(Millis :: pos_integer()) -> {schedulers, pos_integer()}.
schedulers(Millis) -> {schedulers, Millis}.

%% @doc Passes if at most this many processes and ports wait for a scheduler, including those that wait for the dirty
%% CPU pool: `total_run_queue_lengths' of `erlang:statistics/1'.
-spec run_queue(Max :: non_neg_integer()) -> {run_queue, non_neg_integer()}.
run_queue(Max) -> {run_queue, Max}.

%% @doc Passes if not more memory is in use than the limit.
%% <ul>
%% <li>An integer is a number of bytes. It limits the resident memory of the VM's process, `VmRSS' in proc(5). That
%% includes the memory of native code, and excludes what is swapped out.</li>
%% <li>A float of at most `1.0' is a share of the unit's `MemoryMax=', see systemd.resource-control(5). It limits what
%% all processes of the control group use, without the file cache, which the kernel can free. If the unit has no limit,
%% that of the nearest parent group with a limit counts.</li>
%% </ul>
%% If this can't be found out, because there is no limit or no memory controller, the check passes, and the log says so
%% once.
-spec memory(memory_limit()) -> {memory, memory_limit()}.
memory(Limit) -> {memory, Limit}.

%% @doc Passes if the process answers a system message within 1000 ms. For another limit see {@link timeout/2}.
%%
%% All OTP behaviours answer when they reach the message in their mailbox. Other processes answer only if they handle
%% the messages of `sys'. For the rest use {@link mailbox/2}.
-spec process(name()) -> {process, name()}.
process(Name) -> {process, Name}.

%% @doc Passes if the process has at most this many messages in its mailbox.
-spec mailbox(name(), Max :: non_neg_integer()) -> {mailbox, name(), non_neg_integer()}.
mailbox(Name, Max) -> {mailbox, Name, Max}.

%% @doc Passes if the supervisor answers within 1000 ms, and none of its children is stuck restarting. For another limit
%% see {@link timeout/2}.
%%
%% A child does not count as stuck if it has returned `ignore', if it is temporary or transient and has ended, or if
%% `supervisor:terminate_child/2' has terminated it. The name must be that of a supervisor: the check's message may
%% crash another process.
-spec supervisor(name()) -> {supervisor, name()}.
supervisor(Name) -> {supervisor, Name}.

%% @private
-spec is_check(term()) -> boolean().
is_check(Term) -> fault(Term) =:= none.

%% @private
%% @doc The innermost part of a term that is not a check, and what a check would need there.
-spec fault(term()) -> none | {Part :: term(), Needs :: string()}.
fault([]) -> none;
fault([Check | Checks]) ->
    case fault(Check) of
        none when is_list(Checks) -> fault(Checks);
        %% The tail of an improper list.
        none -> {Checks, "is not a list of checks"};
        Fault -> Fault
    end;
fault({all, Checks}) when is_list(Checks) -> fault(Checks);
fault({any, [_ | _] = Checks}) -> fault(Checks);
fault({all, _} = Check) -> {Check, "needs a list of checks"};
fault({any, _} = Check) -> {Check, "needs a list of at least one check"};
fault({Kind, Millis, Check}) when Kind =:= every orelse Kind =:= timeout, ?IS_MILLIS(Millis) ->
    fault(Check);
fault({Kind, _, _} = Check) when Kind =:= every; Kind =:= timeout ->
    {Check, "needs a positive integer of milliseconds"};
fault({schedulers, Millis}) when ?IS_MILLIS(Millis) -> none;
fault({schedulers, _} = Check) -> {Check, "needs a positive integer of milliseconds"};
fault({run_queue, Max}) when ?IS_COUNT(Max) -> none;
fault({run_queue, _} = Check) -> {Check, "needs an integer of at least 0"};
fault({memory, Bytes}) when is_integer(Bytes), Bytes > 0 -> none;
fault({memory, Share}) when is_float(Share), Share > 0.0, Share =< 1.0 -> none;
fault({memory, _} = Check) -> {Check, "needs a number of bytes, or a float of at most 1.0"};
fault({Kind, Name} = Check) when Kind =:= process; Kind =:= supervisor -> name_fault(Name, Check);
fault({mailbox, Name, Max} = Check) when ?IS_COUNT(Max) -> name_fault(Name, Check);
fault({mailbox, _, _} = Check) -> {Check, "needs an integer of at least 0"};
fault({Module, Function, Args}) when is_atom(Module), is_atom(Function), length(Args) >= 0 -> none;
fault(Function) when is_function(Function, 0) -> none;
fault(Check) -> {Check, "is neither a check, {M, F, A} nor fun/0"}.

name_fault({global, _}, _) -> none;
name_fault({via, Module, _}, _) when is_atom(Module) -> none;
name_fault(Name, _) when is_atom(Name); is_pid(Name) -> none;
name_fault(_, Check) -> {Check, "needs a registered name or a pid"}.

%% @private
%% @doc The name of a check that contains no other checks.
-spec name(check()) -> unicode:chardata().
name({Kind, _}) when Kind =:= schedulers; Kind =:= run_queue; Kind =:= memory -> atom_to_list(Kind);
name({Kind, Name}) -> io_lib:format("~ts ~ts", [Kind, name_of(Name)]);
name({mailbox, Name, _}) -> io_lib:format("mailbox ~ts", [name_of(Name)]);
name({Module, Function, Args}) -> systemd_elixir:function(Module, Function, length(Args));
name(Fun) ->
    [Type, Module, Name] = [element(2, erlang:fun_info(Fun, Item)) || Item <- [type, module, name]],
    case Type of
        external -> name({Module, Name, []});
        local -> io_lib:format("~0tp", [Fun])
    end.

%% @private
%% @doc The name of a process or a child. A module of Elixir is written as in Elixir.
-spec name_of(term()) -> unicode:chardata().
name_of(Name) when is_atom(Name) -> systemd_elixir:name(Name);
name_of(Name) -> io_lib:format("~0tP", [Name, 20]).
