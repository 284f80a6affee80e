%% @private
%% Waits with a limit, for processes and for the native library. No scheduler waits inside of the library.
-module(systemd_wait).

-export([reply/1, deadline/1, rest/1, process_info/3]).
-export([look/2]).

-export_type([reply/1, deadline/0]).

-type reply(Result) :: Result | reference().
-type deadline() :: integer() | infinity.

%% @doc The result of a native call. If a thread of the library has to wait for it, the thread sends it as a message.
-spec reply(reply(Result)) -> Result.
reply(Reference) when is_reference(Reference) -> receive {Reference, Result} -> Result end;
reply(Result) -> Result.

-spec deadline(timeout()) -> deadline().
deadline(infinity) -> infinity;
deadline(Timeout) when is_integer(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

%% @doc The milliseconds until the deadline. In comparisons, `infinity' is greater than any number.
-spec rest(deadline()) -> timeout().
rest(infinity) -> infinity;
rest(Deadline) when is_integer(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

%% @doc `process_info/2' with a limit, because it waits for a process in a long native call.
-spec process_info(pid(), Item :: atom(), Millis :: non_neg_integer()) -> {ok, term()} | ended | late.
process_info(Pid, Item, Millis) ->
    {Looking, Monitor} = spawn_opt(?MODULE, look, [Pid, Item], [monitor, {priority, high}]),
    receive
        {'DOWN', Monitor, process, Looking, {?MODULE, {Item, Value}}} -> {ok, Value};
        {'DOWN', Monitor, process, Looking, _} -> ended
    after Millis ->
        true = demonitor(Monitor, [flush]),
        exit(Looking, kill),
        late
    end.

-spec look(pid(), Item :: atom()) -> no_return().
look(Pid, Item) -> exit({?MODULE, erlang:process_info(Pid, Item)}).
