%% What the library costs: no call holds a normal scheduler for long, however large its arguments are, nor does the start.
-module(budget_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [no_scheduler_is_held, costs_no_time].

suite() -> [{timetrap, {minutes, 3}}].

init_per_testcase(costs_no_time, Config) ->
    Config;
init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    Journald = recorder:start(),
    Readers = [recorder:drain(Each) || Each <- [Recorder, Journald]],
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    ok = application:start(systemd),
    ok = logger:add_handler(journal, systemd_journal_h, #{
        level => error,
        filters => [{here, {fun(#{meta := Meta} = Event, _) -> case Meta of #{budget := true} -> Event; _ -> stop end end, []}}],
        config => #{path => recorder:path(Journald), metadata => all, fields => [{"LITERAL", lists:duplicate(60000, $x)}]}
    }),
    %% Others would make lists of the characters.
    Others = [{Id, Level} || #{id := Id, level := Level} <- logger:get_handler_config(), Id =/= journal],
    [ok = logger:set_handler_config(Id, level, none) || {Id, _} <- Others],
    [{others, Others}, {recorders, [Recorder, Journald]}, {readers, Readers} | Config].

end_per_testcase(costs_no_time, _) ->
    ok;
end_per_testcase(_, Config) ->
    [ok = logger:set_handler_config(Id, level, Level) || {Id, Level} <- proplists:get_value(others, Config)],
    ok = logger:remove_handler(journal),
    ok = application:stop(systemd),
    os:unsetenv("NOTIFY_SOCKET"),
    [begin unlink(Reader), exit(Reader, kill) end || Reader <- proplists:get_value(readers, Config)],
    [recorder:stop(Recorder) || Recorder <- proplists:get_value(recorders, Config)].

no_scheduler_is_held(_) ->
    Table = [{What, longest(Call)} || {What, Call} <- calls()],
    io:format(user, "~nthe longest that a native call held a normal scheduler, in microseconds:~n", []),
    [io:format(user, "~8b  ~s~n", [Micros, What]) || {What, Micros} <- Table],
    ?assertEqual([], [Row || {_, Micros} = Row <- Table, Micros >= 1000]).

calls() ->
    Log = fun(Meta) -> logger:error("text", Meta#{budget => true}) end,
    Keys = fun(Count, Value) -> maps:from_list([{N, Value} || N <- names(Count)]) end,
    Many = lists:duplicate(1000000, undefined),
    Huge = binary:copy(<<"x">>, 50000000),
    [
        {"metadata with a list of 10^6 undefined", fun() -> Log(#{list => Many}) end},
        {"a domain of 10^5 atoms", fun() -> Log(#{domain => lists:duplicate(100000, a)}) end},
        {"10^5 metadata keys", fun() -> Log(Keys(100000, 1)) end},
        {"10^5 compound values", fun() -> Log(Keys(100000, {1})) end},
        {"a key of 50 MB", fun() -> Log(#{Huge => 1}) end},
        {"a value of 50 MB", fun() -> Log(#{large => Huge}) end},
        {"a message of 50 MB", fun() -> logger:error([Huge], #{budget => true}) end},
        {"a message of 10^6 lists", fun() -> logger:error([[] || _ <- lists:seq(1, 1000000)], #{budget => true}) end},
        {"notify({<<\"x_foo\">>, 50 MB})", fun() -> systemd:notify({<<"x_foo">>, Huge}) end},
        {"notify({50 MB, 1})", fun() -> systemd:notify({Huge, 1}) end},
        {"notify({status, 50 MB})", fun() -> systemd:notify({status, Huge}) end},
        {"500 states of 16,000 empty binaries", fun() ->
            systemd:notify(lists:duplicate(500, {status, lists:duplicate(16000, <<>>)}))
        end},
        {"10^6 states", fun() -> systemd:notify(lists:duplicate(1000000, {"X", 1})) end},
        {"a name of 50 MB", fun() -> try systemd:store_fds([{0, Huge}]) catch error:badarg -> ok end end},
        {"a term of 50 MB", fun() -> systemd:store_term(large, Huge) end},
        {"10^6 descriptors", fun() -> systemd:store_fds(lists:duplicate(1000000, 0)) end}
    ].

names(Count) -> [list_to_binary("key" ++ integer_to_list(N)) || N <- lists:seq(1, Count)].

%% In a process of its own. Three calls that took too long show that it was not something else.
longest(Call) -> longest(Call, 3, infinity).

longest(_, 0, Least) -> Least;
longest(_, _, Least) when Least < 1000 -> Least;
longest(Call, More, Least) -> longest(Call, More - 1, min(Least, held(Call))).

held(Call) ->
    Dirty = [
        journal_log_large, store_fds, clear_fds, store_term, fetch_term, memory, dirty_cpu, dirty_io, take_away, give_back,
        close_taken, listening_on, connections
    ],
    Self = self(),
    Tracer = spawn_link(fun() -> collect(Self, none, 0) end),
    _ = erlang:trace_pattern({systemd_nif, '_', '_'}, [{'_', [], [{return_trace}]}], [local]),
    [erlang:trace_pattern({systemd_nif, Name, '_'}, false, [local]) || Name <- Dirty],
    {Pid, Monitor} = spawn_monitor(fun() -> receive go -> Call() end end),
    1 = erlang:trace(Pid, true, [call, arity, monotonic_timestamp, {tracer, Tracer}]),
    Pid ! go,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    Tracer ! {stop, Pid},
    receive {held, Nanos} -> erlang:convert_time_unit(Nanos, native, microsecond) end.

collect(Owner, Since, Most) ->
    receive
        {trace_ts, _, call, _, From} -> collect(Owner, From, Most);
        {trace_ts, _, return_from, _, _, To} -> collect(Owner, none, max(Most, To - Since));
        {stop, Pid} ->
            Delivered = erlang:trace_delivered(Pid),
            receive {trace_delivered, Pid, Delivered} -> Owner ! {held, Most} end
    end.

%% Loading and starting it in a VM that has just booted, eleven times. The machine's other work
%% only adds to that, so that the least is what it costs.
costs_no_time(_) ->
    Command =
        "erl -noinput -pa " ++ service:ebin() ++
            " -eval '{T, {ok, _}} = timer:tc(application, ensure_all_started, [systemd]),"
            " io:put_chars(integer_to_list(T)), halt().'",
    Times = lists:sort([list_to_integer(os:cmd(Command)) / 1000 || _ <- lists:seq(1, 11)]),
    [Least | _] = Times,
    io:format(user, "~nthe application adds ~.1f ms to the start of a VM, ~.1f ms in the median~n", [
        Least, lists:nth(6, Times)
    ]),
    ?assert(Least < 20).
