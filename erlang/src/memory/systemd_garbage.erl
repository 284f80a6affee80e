%% @private
%% Has the processes with the most garbage collect it, one after the other.
-module(systemd_garbage).

-export([collect/0]).

%% So many at a time, at most.
-define(MOST, 100).
%% After each, in milliseconds: the schedulers have other things to do.
-define(PAUSE, 10).
%% A process that is long in native code comes to it later, in milliseconds.
-define(LONGEST, 5000).

-spec collect() -> ok.
collect() ->
    Before = memory(),
    Chosen = chosen(),
    lists:foreach(fun collect/1, Chosen),
    systemd_log:say(
        notice,
        "systemd: memory pressure: collected ~b of ~b processes~ts",
        [length(Chosen), erlang:system_info(process_count), difference(Before, memory())]
    ).

collect(Pid) ->
    async = garbage_collect(Pid, [{async, Pid}]),
    receive {garbage_collect, Pid, _} -> ok after ?LONGEST -> ok end,
    timer:sleep(?PAUSE).

chosen() ->
    Most = lists:foldl(fun keep_most/2, gb_sets:new(), lists:delete(self(), processes())),
    [Pid || {_, Pid} <- lists:reverse(gb_sets:to_list(Most))].

keep_most(Pid, Most) ->
    case gain(Pid) of
        Words when Words > 0 -> keep_most(Words, Pid, Most);
        _ -> Most
    end.

keep_most(Words, Pid, Most) ->
    case gb_sets:size(Most) < ?MOST orelse gb_sets:take_smallest(Most) of
        true -> gb_sets:add({Words, Pid}, Most);
        {{Least, _}, Rest} when Least < Words -> gb_sets:add({Words, Pid}, Rest);
        _ -> Most
    end.

%% How many words a collection may free, less those that it is known to copy: a copy takes memory too,
%% and a large heap that is alive must not be copied each time.
gain(Pid) ->
    case process_info(Pid, garbage_collection_info) of
        {_, Info} -> lists:foldl(fun add/2, 0, Info);
        undefined -> 0
    end.

add({heap_size, Words}, Sum) -> Sum + Words;
add({old_heap_size, Words}, Sum) -> Sum + Words;
add({bin_vheap_size, Words}, Sum) -> Sum + Words;
add({bin_old_vheap_size, Words}, Sum) -> Sum + Words;
%% What the last collection found alive is in one of the heaps as well.
add({recent_size, Words}, Sum) -> Sum - 2 * Words;
add(_, Sum) -> Sum.

memory() ->
    try erlang:memory(total)
    %% Some of its allocators are switched off, see erts_alloc(3).
    catch error:notsup -> unknown
    end.

difference(unknown, _) -> "";
difference(Before, Now) -> io_lib:format("; the VM has ~b MiB, ~b MiB before", [Now bsr 20, Before bsr 20]).
