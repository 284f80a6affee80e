%% What goes to the manager's descriptor store.
-module(fd_store_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() ->
    [
        names_and_counts, every_kind_of_socket, options, closed_ones, illegal_names, most,
        number_used_again, clear, terms, one_of_many, without_descriptors, term_half_sent, failed_sends, without_systemd
    ].

-define(VARIABLES, ["NOTIFY_SOCKET", "FDSTORE", "MEMORY_PRESSURE_WATCH"]).

init_per_testcase(without_systemd, Config) ->
    init(Config);
init_per_testcase(_, Config) ->
    Recorder = recorder:start(),
    os:putenv("NOTIFY_SOCKET", recorder:path(Recorder)),
    [{recorder, Recorder} | init(Config)].

init(Config) ->
    log_counter:start(),
    ok = application:start(systemd),
    Config.

end_per_testcase(_, Config) ->
    application:stop(systemd),
    application:unload(systemd),
    [os:unsetenv(Name) || Name <- ?VARIABLES],
    log_counter:stop(),
    [recorder:stop(Recorder) || {recorder, Recorder} <- Config].

%% All messages so far, each with the files that came with it.
sent(Config) -> recorder:all_with_fds(proplists:get_value(recorder, Config)).

file() ->
    {ok, Socket} = socket:open(inet, dgram),
    fd(Socket).

fd({'$socket', _} = Socket) -> element(2, {ok, _} = socket:getopt(Socket, {otp, fd}));
fd({'$inet', _, {_, Socket}}) -> fd(Socket);
fd(Port) -> element(2, {ok, _} = inet:getfd(Port)).

names_and_counts(Config) ->
    [A, B] = [file(), file()],
    [FileA, FileB] = [recorder:file(Fd) || Fd <- [A, B]],
    Store = fun(Fds) ->
        ?assertEqual(ok, systemd:store_fds(Fds)),
        sent(Config)
    end,
    ?assertEqual([], Store([])),
    ?assertEqual([{<<"FDSTORE=1\n">>, [FileA]}], Store([A])),
    ?assertEqual([{<<"FDSTORE=1\nFDNAME=http\n">>, [FileB]}], Store([{B, http}])),
    ?assertEqual(
        [
            {<<"FDSTORE=1\n">>, [FileA, FileB]},
            {<<"FDSTORE=1\nFDNAME=a\n">>, [FileB, FileA, FileB]},
            {<<"FDSTORE=1\nFDNAME=b c\n">>, [FileA]}
        ],
        lists:sort(Store([{B, "a"}, A, {A, <<"b c">>}, {A, a}, B, {B, [<<"a">>]}]))
    ),
    ?assertEqual([{<<"FDSTORE=1\n">>, lists:duplicate(252, FileA)}], Store(lists:duplicate(252, A))),
    ?assertEqual(
        [{<<"FDSTORE=1\nFDNAME=x\n">>, lists:duplicate(252, FileA)}, {<<"FDSTORE=1\nFDNAME=x\n">>, [FileB]}],
        Store(lists:duplicate(252, {A, x}) ++ [{B, x}])
    ).

every_kind_of_socket(Config) ->
    {ok, Tcp} = gen_tcp:listen(0, []),
    {ok, Tcp2} = gen_tcp:listen(0, [{inet_backend, socket}]),
    {ok, Udp} = gen_udp:open(0, []),
    {ok, Udp2} = gen_udp:open(0, [{inet_backend, socket}]),
    {ok, Socket} = socket:open(local, stream),
    Sockets = [Tcp, Tcp2, Udp, Udp2, Socket],
    Files = [recorder:file(fd(Each)) || Each <- Sockets],
    ok = systemd:store_fds(Sockets),
    ?assertEqual([{<<"FDSTORE=1\n">>, Files}], sent(Config)),
    ok = systemd:store_fds([{Each, s} || Each <- Sockets]),
    ?assertEqual([{<<"FDSTORE=1\nFDNAME=s\n">>, Files}], sent(Config)),
    [gen_tcp:close(Each) || Each <- [Tcp, Tcp2]],
    [gen_udp:close(Each) || Each <- [Udp, Udp2]],
    socket:close(Socket),
    [
        begin
            ?assertEqual({error, bad_descriptor}, systemd:store_fds([Each])),
            ?assertEqual({error, bad_descriptor}, systemd:store_fds([{Each, s}]))
        end
     || Each <- Sockets
    ],
    ?assertEqual([], sent(Config)).

options(Config) ->
    Fd = file(),
    File = recorder:file(Fd),
    ok = systemd:store_fds([Fd], [{poll, true}]),
    ok = systemd:store_fds([{Fd, a}], [{poll, false}]),
    ?assertEqual([{<<"FDSTORE=1\n">>, [File]}, {<<"FDSTORE=1\nFDNAME=a\nFDPOLL=0\n">>, [File]}], sent(Config)),
    [
        ?assertError(badarg, systemd:store_fds([Fd], Options))
     || Options <- [[{poll, no}], [poll], [{other, true}], #{}, [{poll, true} | x]]
    ],
    ?assertError(badarg, systemd:store_fds(Fd)),
    ?assertError(badarg, systemd:store_fds([Fd | Fd])),
    ?assertEqual([], sent(Config)).

%% One of them is enough: nothing is sent, also not of the others.
closed_ones(Config) ->
    Fd = file(),
    [
        ?assertEqual({error, bad_descriptor}, systemd:store_fds([{Fd, a}, Bad, {Fd, b}]))
     || Bad <- [
            999999, -1, 1 bsl 31, 1 bsl 70, {999999, c}, foo, {foo, c}, "3", {{1, 2}, c}, #{}, self(),
            hd(erlang:ports()), {'$socket', make_ref()}, {'$inet', m, s}
        ]
    ],
    ?assertEqual([], sent(Config)),
    ?assertEqual(
        ["systemd: notification store_fds failed: one of the descriptors is not open"],
        log_counter:messages()
    ).

illegal_names(Config) ->
    Fd = file(),
    Longest = lists:duplicate(255, $n),
    [
        begin
            ?assertEqual({error, {invalid_fd_name, Name}}, systemd:store_fds([{Fd, a}, {Fd, Name}])),
            ?assertEqual({error, {invalid_fd_name, Name}}, systemd:clear_fds([a, Name])),
            ?assertEqual({error, {invalid_fd_name, Name}}, systemd:store_term(Name, term)),
            ?assertEqual({error, {invalid_fd_name, Name}}, systemd:fetch_term(Name))
        end
     || Name <- ["a:b", "", '', "a\nb", "a\tb", <<127>>, "ü", <<255>>, [$n | Longest], {a}, 7, [a]]
    ],
    ?assertEqual([], sent(Config)),
    %% What was meant as a term is not logged as a name.
    {error, _} = systemd:store_term(#{password => "s3cret"}, state),
    [?assertEqual(nomatch, string:find(Line, "s3cret")) || Line <- log_counter:messages()],
    ok = systemd:store_fds([{Fd, Longest}]),
    ?assertEqual([{list_to_binary(["FDSTORE=1\nFDNAME=", Longest, "\n"]), [recorder:file(Fd)]}], sent(Config)).

%% What systemd 254 and later say.
most(Config) ->
    Fd = file(),
    Restart = fun(Variables) ->
        ok = application:stop(systemd),
        [os:unsetenv(Name) || Name <- ["FDSTORE", "MEMORY_PRESSURE_WATCH"]],
        [os:putenv(Name, Value) || {Name, Value} <- Variables],
        ok = application:start(systemd),
        sent(Config)
    end,
    Restart([{"FDSTORE", "1"}, {"MEMORY_PRESSURE_WATCH", "/dev/null"}]),
    ?assertEqual(false, os:getenv("FDSTORE")),
    ?assertEqual(ok, systemd:store_fds([Fd])),
    ?assertEqual({error, {fd_store_max, 1}}, systemd:store_fds([Fd, {Fd, a}])),
    ?assertEqual(ok, systemd:store_term(t, 1)),
    ?assertEqual(3, length(sent(Config))),
    Restart([{"MEMORY_PRESSURE_WATCH", "/dev/null"}]),
    ?assertEqual({error, {fd_store_max, 0}}, systemd:store_fds([Fd])),
    ?assertEqual({error, {fd_store_max, 0}}, systemd:store_term(t, 2)),
    ?assertEqual([], sent(Config)),
    Restart([{"FDSTORE", "many"}]),
    ?assertEqual(ok, systemd:store_fds([Fd, Fd])),
    Restart([]),
    ?assertEqual(ok, systemd:store_fds([Fd, Fd])),
    ok = systemd:clear_fds([t]),
    ?assertMatch(
        ["systemd: notification store_fds failed: the unit may store no more than 1 descriptors: see FileDescriptorStoreMax=" | _],
        log_counter:messages()
    ).

%% Leaves room for so many messages in the manager's queue.
fill(Config, Room) ->
    Recorder = proplists:get_value(recorder, Config),
    {ok, Socket} = socket:open(local, dgram),
    fill_all(Socket, #{family => local, path => recorder:path(Recorder)}),
    socket:close(Socket),
    [<<"filler">> = recorder:next(Recorder) || _ <- lists:seq(1, Room)].

fill_all(Socket, Address) ->
    case socket:sendto(Socket, "filler", Address, [], 0) of
        ok -> fill_all(Socket, Address);
        {error, timeout} -> ok
    end.

but_filler(Sent) -> [Message || {Bytes, _} = Message <- Sent, Bytes =/= <<"filler">>].

%% What was closed while the call waits is not what has its number now.
number_used_again(Config) ->
    {ok, Socket} = socket:open(inet, dgram),
    Number = fd(Socket),
    File = recorder:file(Number),
    fill(Config, 0),
    Self = self(),
    Pid = spawn_link(fun() -> Self ! {self(), systemd:store_fds([Socket])} end),
    await_full_queue(Pid),
    ok = socket:close(Socket),
    {ok, Other} = socket:open(inet, dgram),
    ?assertEqual(Number, fd(Other)),
    ?assertNotEqual(File, recorder:file(Number)),
    Before = sent(Config),
    ?assertEqual(ok, receive {Pid, Result} -> Result end),
    ?assertEqual([{<<"FDSTORE=1\n">>, [File]}], but_filler(Before ++ sent(Config))),
    socket:close(Other).

await_full_queue(Pid) ->
    case process_info(Pid, current_function) of
        {current_function, {systemd_wait, reply, 1}} -> ok;
        _ -> timer:sleep(1), await_full_queue(Pid)
    end.

clear(Config) ->
    ok = systemd:clear_fds([]),
    ok = systemd:clear_fds([a, "b c", <<"a">>]),
    ?assertEqual(
        [{<<"FDSTOREREMOVE=1\nFDNAME=a\n">>, []}, {<<"FDSTOREREMOVE=1\nFDNAME=b c\n">>, []}],
        sent(Config)
    ),
    ?assertError(badarg, systemd:clear_fds(a)).

terms(Config) ->
    ?assertEqual({error, {no_such_fd, state}}, systemd:fetch_term(state)),
    Store = fun(Term) ->
        ok = systemd:store_term(state, Term),
        ?assertMatch(
            [
                {<<"FDSTOREREMOVE=1\nFDNAME=state\n">>, []},
                {<<"FDSTORE=1\nFDNAME=state\n">>, ["/memfd:systemd-term:state (deleted)"]}
            ],
            sent(Config)
        ),
        ?assertEqual({ok, Term}, systemd:fetch_term("state"))
    end,
    Large = #{large => binary:copy(<<"x">>, 20000000), list => [1.5, {a}]},
    [Store(Term) || Term <- [1, Large, [], undefined]],
    %% It outlives the application.
    ok = application:stop(systemd),
    ?assertEqual({ok, undefined}, systemd:fetch_term(<<"state">>)),
    ok = application:start(systemd),
    ?assertEqual({ok, undefined}, systemd:fetch_term(state)),
    _ = sent(Config),
    ok = systemd:clear_fds([state]),
    ?assertEqual([{<<"FDSTOREREMOVE=1\nFDNAME=state\n">>, []}], sent(Config)),
    ?assertEqual({error, {no_such_fd, state}}, systemd:fetch_term(state)),
    %% The name of a file in memory is shorter than that of a descriptor.
    ?assertEqual({error, einval}, systemd:store_term(lists:duplicate(237, $n), 1)).

%% Nothing is forgotten for want of a descriptor to look with.
without_descriptors(Config) ->
    ok = systemd:store_term(state, kept),
    _ = sent(Config),
    ?assertEqual(
        [{error, emfile}, {error, emfile}, {error, emfile}],
        limits:without_descriptors(fun() ->
            [systemd:fetch_term(state), systemd:clear_fds([state]), systemd:store_term(state, other)]
        end)
    ),
    ?assertEqual([], sent(Config)),
    ?assertEqual({ok, kept}, systemd:fetch_term(state)),
    ok = systemd:clear_fds([state]),
    ?assertEqual({error, {no_such_fd, state}}, systemd:fetch_term(state)).

failed_sends(Config) ->
    recorder:stop(proplists:get_value(recorder, Config)),
    Fd = file(),
    [
        ?assertMatch({error, Reason} when Reason =:= enoent; Reason =:= econnrefused, Result)
     || Result <- [systemd:store_fds([Fd]), systemd:clear_fds([a]), systemd:store_term(a, 1)]
    ],
    ?assertEqual({error, {no_such_fd, a}}, systemd:fetch_term(a)),
    ?assertMatch([_], log_counter:messages()).

%% However many do it at once: the manager has one, and it is the one that is kept.
one_of_many(Config) ->
    Recorder = proplists:get_value(recorder, Config),
    Self = self(),
    Pids = [spawn_link(fun() -> ok = systemd:store_term(many, N), Self ! {done, self()} end) || N <- lists:seq(1, 50)],
    Reader = fun Read(Sent) ->
        case recorder:next(Recorder, 200) of
            nothing -> Sent;
            Bytes -> Read([Bytes | Sent])
        end
    end,
    Sent = Reader([]),
    [receive {done, Pid} -> ok end || Pid <- Pids],
    Pairs = lists:append(lists:duplicate(50, [<<"FDSTORE=1\nFDNAME=many\n">>, <<"FDSTOREREMOVE=1\nFDNAME=many\n">>])),
    ?assertEqual(Pairs, without_repeats(Sent)),
    ok = systemd:clear_fds([many]).

%% Where the queue was full it is removed once more.
without_repeats([<<"FDSTOREREMOVE", _/binary>> = Same, Same | Rest]) -> without_repeats([Same | Rest]);
without_repeats([Message | Rest]) -> [Message | without_repeats(Rest)];
without_repeats([]) -> [].

%% The manager was told to forget the old one, and not of the new one.
term_half_sent(Config) ->
    ok = systemd:store_term(half, old),
    _ = sent(Config),
    fill(Config, 1),
    ?assertEqual({error, eagain}, systemd:store_term(half, new)),
    ?assertEqual([{<<"FDSTOREREMOVE=1\nFDNAME=half\n">>, []}], but_filler(sent(Config))),
    ?assertEqual({ok, old}, systemd:fetch_term(half)),
    ok = systemd:store_term(half, new),
    ?assertMatch([{<<"FDSTOREREMOVE", _/binary>>, []}, {<<"FDSTORE=1\n", _/binary>>, [_]}], sent(Config)),
    ?assertEqual({ok, new}, systemd:fetch_term(half)),
    ok = systemd:clear_fds([half]).

without_systemd(_) ->
    [
        ?assertEqual(ok, Result)
     || Result <- [
            systemd:store_fds([3]), systemd:store_fds([garbage], [{poll, false}]),
            systemd:clear_fds([garbage, "a:b"]), systemd:store_term("a:b", 1)
        ]
    ],
    ?assertEqual({error, {no_such_fd, nothing}}, systemd:fetch_term(nothing)),
    ?assertEqual([], log_counter:messages()).
