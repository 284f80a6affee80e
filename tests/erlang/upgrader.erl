%% Random steps of the public API in a VM that gets other versions of the native library, of which none may touch a
%% descriptor that is not the library's. Runs in a service of its own.
-module(upgrader).

-export([run/3, steps/4, start_watched/0, store/2, fetch/1, load/1]).

%% Has the result written to a file.
run(File, Function, Args) ->
    Result =
        try apply(?MODULE, Function, Args)
        catch Class:Reason:Stack -> lists:flatten(io_lib:format("~0tP", [{Class, Reason, Stack}, 30]))
        end,
    ok = file:write_file(File ++ ".new", term_to_binary(Result)),
    ok = file:rename(File ++ ".new", File).

%% A thread of a former copy that nobody answers would end this VM.
start_watched() ->
    systemd:notify(ready),
    systemd:watchdog(state).

%% How many threads of the library store it, and how many of one that was marked.
store(Name, Term) ->
    timer:sleep(1500),
    ok = systemd:store_term(Name, Term),
    {thread_counter:count("sd-notify"), thread_counter:count("sd-notifY")}.

fetch(Name) -> systemd:fetch_term(Name).

%% With `Copy' loaded: what is stored afterwards, and how many steps of each kind there were.
steps(Copy, Seed, Count, Stored) ->
    _ = rand:seed(exsss, Seed),
    {module, systemd_nif} = load(Copy),
    %% One that is never closed, as of another part of the service.
    put(kept, [open() || _ <- [1, 2, 3]]),
    {ok, Pid} = keep_states(),
    put(states, Pid),
    go_on(Count, Stored, #{}, foreign()).

go_on(0, Stored, Kinds, _) ->
    [ok = gen_tcp:close(Socket) || Socket <- erase(kept)],
    {ok, Stored, Kinds};
go_on(Count, Stored, Kinds, Before) ->
    Step = lists:nth(rand:uniform(12), [store, store, clear, fetch, fetch, open, open, close, close, look, notify, fds]),
    {Changed, Now} = step(Step, Stored),
    After = foreign(),
    Touched = maps:filter(fun(Fd, File) -> maps:get(Fd, After, gone) =/= File end, maps:without(Changed, Before)),
    case [{Fd, File, maps:get(Fd, After, gone)} || {Fd, File} <- maps:to_list(Touched)] of
        [] -> go_on(Count - 1, Now, maps:update_with(Step, fun(N) -> N + 1 end, 1, Kinds), After);
        Others -> {touched, Step, Others}
    end.

%% The descriptors that it may change, and what is stored then.
step(store, Stored) ->
    Name = name(),
    Term = {rand:uniform(1000000), binary:copy(<<"x">>, rand:uniform(100000))},
    ok = systemd:store_term(Name, Term),
    {[], Stored#{Name => Term}};
step(clear, Stored) ->
    Name = name(),
    ok = systemd:clear_fds([Name]),
    {[], maps:remove(Name, Stored)};
step(fetch, Stored) ->
    Name = name(),
    Expected =
        case Stored of
            #{Name := Term} -> {ok, Term};
            #{} -> {error, {no_such_fd, Name}}
        end,
    Expected = systemd:fetch_term(Name),
    {[], Stored};
step(open, Stored) ->
    put(kept, [open() | get(kept)]),
    {[], Stored};
step(close, Stored) ->
    case get(kept) of
        [Socket | Rest] ->
            {ok, Fd} = inet:getfd(Socket),
            ok = gen_tcp:close(Socket),
            put(kept, Rest),
            {[Fd], Stored};
        [] ->
            {[], Stored}
    end;
step(look, Stored) ->
    get(states) ! {keep, sys:get_state(systemd_watchdog)},
    timer:sleep(20),
    {[], Stored};
step(notify, Stored) ->
    ok = systemd:notify({status, integer_to_list(rand:uniform(1000))}),
    ok = systemd:extend_timeout_while(fun() -> ok end),
    {[], Stored};
step(fds, Stored) ->
    ok = systemd:store_fds([{Socket, listener} || Socket <- get(kept)]),
    {[], Stored}.

%% Somebody may have the threads' terms for long.
keep_states() ->
    {ok, spawn(fun() -> keep_states([]) end)}.

keep_states(States) ->
    receive {keep, State} -> keep_states([State | States]) end.

name() -> lists:nth(rand:uniform(3), ["sessions", "counters", "cache"]).

open() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    Socket.

load(Copy) ->
    true = code:replace_path(systemd, Copy ++ "/systemd/ebin"),
    _ = code:purge(systemd_nif),
    code:load_abs(Copy ++ "/systemd/ebin/systemd_nif").

%% What each descriptor is open on, without those that the library may have: stored terms, what its threads read of /proc,
%% and sockets that are not of this module.
foreign() ->
    {ok, Names} = file:list_dir("/proc/self/fd"),
    Own = [Fd || Socket <- get(kept), {ok, Fd} <- [inet:getfd(Socket)]],
    maps:from_list([
        {Fd, File}
     || Name <- Names,
        Fd <- [list_to_integer(Name)],
        {ok, File} <- [file:read_link_all("/proc/self/fd/" ++ Name)],
        not lists:prefix("/memfd:systemd-term:", File),
        not lists:prefix("/proc/", File),
        not lists:prefix("socket:", File) orelse lists:member(Fd, Own)
    ]).
