%% @doc Ready-made checks for the config key `watchdog_check'.
%% ```
%% [{systemd, [{watchdog_check, [
%%     {schedulers, 1000},
%%     {memory, 0.9},
%%     {process, my_server},
%%     {every, 10000, {my_app, well, []}}
%% ]}]}].
%% '''
%% A check is a plain term, which `sys.config' can hold: `{all, Checks}', `{any, Checks}', `{every, Millis, Check}',
%% `{timeout, Millis, Check}', `{schedulers, Millis}', `{run_queue, Max}', `{memory, Limit}', `{process, Name}',
%% `{mailbox, Name, Max}' or `{supervisor, Name}'. Each function here returns the one of its name, and says when it
%% passes. `{Module, Function, Args}' and `fun/0' pass when they return `true', and a list when all in it pass.
%%
%% They are run one after the other in one process at high priority, at each ping: that is every `WatchdogSec=' /
%% `watchdog_scale'. While a check fails the manager gets no `WATCHDOG=1'; the log and the status say which one, and
%% why. A term that is no check fails.
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
%% A process that is on another node at the moment passes: it is that node's matter.

-type memory_limit() :: Bytes :: pos_integer() | Share :: float().
%% A share is above 0 and at most 1.0.

-define(IS_MILLIS(Millis), is_integer(Millis), Millis > 0, Millis < 1 bsl 32).
-define(IS_COUNT(Count), is_integer(Count), Count >= 0).

%% @doc Passes when all of them pass. Stops at the first one that fails.
-spec all([check()]) -> {all, [check()]}.
all(Checks) -> {all, Checks}.

%% @doc Passes when one of them passes. Stops at the first one that does.
-spec any([check(), ...]) -> {any, [check(), ...]}.
any(Checks) -> {any, Checks}.

%% @doc When the check has passed, it is not run again for so many milliseconds. One that fails is.
-spec every(Millis :: pos_integer(), check()) -> {every, pos_integer(), check()}.
every(Millis, Check) -> {every, Millis, Check}.

%% @doc Fails when the check has not returned within so many milliseconds, and kills its process. Around
%% {@link process/1}, {@link mailbox/2} or {@link supervisor/1} it is the time that these have.
-spec timeout(Millis :: pos_integer(), check()) -> {timeout, pos_integer(), check()}.
timeout(Millis, Check) -> {timeout, Millis, Check}.

%% @doc Every scheduler that is online, the dirty CPU pool and the dirty IO pool each run a process within so many
%% milliseconds. It has high priority, so that load alone does not fail this check: what blocks a scheduler does, a
%% native function that does not return, say. Of the pools, all threads have to be busy for so long: let it be more than
%% your longest dirty jobs take.
-spec schedulers(Millis :: pos_integer()) -> {schedulers, pos_integer()}.
schedulers(Millis) -> {schedulers, Millis}.

%% @doc At most so many processes and ports wait for a scheduler, those that wait for the dirty CPU pool included:
%% `total_run_queue_lengths' of `erlang:statistics/1'.
-spec run_queue(Max :: non_neg_integer()) -> {run_queue, non_neg_integer()}.
run_queue(Max) -> {run_queue, Max}.

%% @doc Not more memory is in use than
%% <ul>
%% <li>so many bytes, an integer: what of the VM's process is resident, `VmRSS' in proc(5), with all that native code
%% has, and not what is swapped out;</li>
%% <li>that share, a float of at most `1.0', of the unit's `MemoryMax=', see systemd.resource-control(5): what all
%% processes of the control group use, without the file cache, which the kernel takes back. Where the unit has no limit,
%% the nearest group above that has one counts.</li>
%% </ul>
%% Where that can't be told, because there is no limit or no memory controller, it passes, and the log says so once.
-spec memory(memory_limit()) -> {memory, memory_limit()}.
memory(Limit) -> {memory, Limit}.

%% @doc The process answers a system message within 1000 ms, see {@link timeout/2}.
%%
%% All OTP behaviours answer, when they have come to it in their mailbox. Other processes don't, unless they handle the
%% messages of `sys': {@link mailbox/2} is for them.
-spec process(name()) -> {process, name()}.
process(Name) -> {process, Name}.

%% @doc The process has at most so many messages in its mailbox.
-spec mailbox(name(), Max :: non_neg_integer()) -> {mailbox, name(), non_neg_integer()}.
mailbox(Name, Max) -> {mailbox, Name, Max}.

%% @doc The supervisor answers within 1000 ms, see {@link timeout/2}, and has no child that it tries to restart in vain.
%%
%% A child that has returned `ignore', is temporary or transient and done, or was terminated by
%% `supervisor:terminate_child/2' is none. Name a supervisor: another process may crash by the question.
-spec supervisor(name()) -> {supervisor, name()}.
supervisor(Name) -> {supervisor, Name}.

%% @private
-spec is_check(term()) -> boolean().
is_check(Term) -> fault(Term) =:= none.

%% @private
%% @doc The innermost part of it that is no check, and what a check would have there.
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
%% @doc The name of a check that is not made of others.
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
%% @doc The name of a process, or of a child: Elixir's modules as Elixir writes them.
-spec name_of(term()) -> unicode:chardata().
name_of(Name) when is_atom(Name) -> systemd_elixir:name(Name);
name_of(Name) -> io_lib:format("~0tP", [Name, 20]).
