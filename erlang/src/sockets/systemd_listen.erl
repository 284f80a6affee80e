%% @private
%% The descriptors that systemd passes, see sd_listen_fds(3).
-module(systemd_listen).

-export([check/1, fds/0, fds/1, opts/1, opts/2, socket/1, info/1, listeners/1, remember/1, give_back/0]).

%% An environment variable, because nothing else of this VM is left after a restart in place.
-define(TAKEN_AWAY, "SYSTEMD_LISTENERS_TAKEN_AWAY").

%% The default of net.core.somaxconn since Linux 5.4. When the server listens, its backlog replaces that of the socket
%% unit. Without this option it would be OTP's default, which is 5.
-define(BACKLOG, 4096).

%% @doc Logs what is wrong with the descriptors that systemd has passed.
-spec check(systemd_env:variables()) -> ok.
check(Variables) ->
    {_, Complaints} = passed(Variables),
    lists:foreach(fun(Complaint) -> logger:error("systemd: ~ts", [Complaint]) end, Complaints).

passed(Variables) ->
    [Fds, Pid, PidfdId, Names] = systemd_env:values(listen_fds, Variables),
    case {Fds, systemd_nif:loaded()} of
        {false, _} -> {[], []};
        {_, false} ->
            Why = systemd_reason:explain(nif_not_loaded),
            {[], [io_lib:format("ignoring LISTEN_FDS=~ts: ~ts", [Fds, Why])]};
        {_, true} -> systemd_nif:listen_fds(Fds, Pid, PidfdId, Names)
    end.

%% The result is not cached, because a connection is handed out once. `config/runtime.exs' calls this before the
%% application starts.
passed() ->
    give_back(),
    {Fds, _} = passed(systemd_env:read()),
    Fds.

fds() ->
    give_back(),
    fds(systemd_env:read()).

-spec fds(systemd_env:variables()) -> [systemd:fd()].
fds(Variables) ->
    {Fds, _} = passed(Variables),
    [named(Fd, Name) || {Fd, Name} <- Fds].

named(Fd, false) -> Fd;
named(Fd, Name) -> {Fd, binary_to_list(Name)}.

find(Fd) when is_integer(Fd), Fd >= 0, Fd < 1 bsl 31 ->
    case systemd_nif:loaded() of
        true -> give_back(), {ok, Fd};
        false -> {error, nif_not_loaded}
    end;
find(Name) ->
    case systemd_nif:loaded() andalso systemd_nif:fd_name(Name) of
        {ok, FdName} -> find(Name, [Fd || {Fd, Given} <- passed(), Given =:= FdName]);
        _ -> find(Name, [])
    end.

find(_, [Fd]) -> {ok, Fd};
find(Name, []) -> {error, {no_such_fd, Name}};
find(Name, Several) -> {error, {several_fds, Name, Several}}.

info(NameOrFd) ->
    case find(NameOrFd) of
        {ok, Fd} ->
            case systemd_nif:socket_info(Fd) of
                {error, ebadf} -> {error, bad_descriptor};
                Result -> Result
            end;
        {error, _} = Error ->
            Error
    end.

opts(NameOrFd) ->
    case info(NameOrFd) of
        {ok, #{fd := Fd, family := Family, type := stream, listening := true}} ->
            {ok, [{fd, Fd}, Family, {backlog, ?BACKLOG}]};
        {ok, #{fd := Fd, family := Family, type := dgram}} ->
            {ok, [{fd, Fd}, Family]};
        {ok, Info} ->
            {error, {unfit_fd, Info}};
        {error, _} = Error ->
            Error
    end.

opts(NameOrFd, Port) ->
    case opts(NameOrFd) of
        {ok, Options} ->
            {ok, 0, Options};
        {error, {no_such_fd, _}} ->
            log_unmatched_name(NameOrFd, Port, fds()),
            {ok, Port, []};
        {error, _} = Error ->
            Error
    end.

%% @doc The descriptors of a listener that was passed to `systemd:drainer/2'.
-spec listeners(systemd:listener()) -> {ok, [Fd :: non_neg_integer()]} | {error, file:posix()}.
listeners({port, Port}) -> systemd_nif:listening_on(Port);
listeners(Fd) when is_integer(Fd) -> {ok, [Fd]};
listeners(Name) ->
    {ok, FdName} = systemd_nif:fd_name(Name),
    {ok, [Fd || {Fd, Given} <- passed(), Given =:= FdName]}.

%% @doc Remembers the taken listeners that systemd has passed, so that a restart in place can give them back.
-spec remember([{Fd :: non_neg_integer(), systemd_nif:taken()}]) -> ok.
remember(Listeners) ->
    Numbers = [[Fd, Number, Inode, Decoy] || {Fd, {Number, Inode, Decoy, true}} <- Listeners],
    Text = lists:join($\s, [integer_to_list(Number) || Number <- lists:append(Numbers)]),
    true = os:putenv(?TAKEN_AWAY, lists:flatten([os:getenv(?TAKEN_AWAY, ""), $\s, Text])),
    ok.

%% @doc Gives back the listeners that were taken before a restart in place, so that servers can listen on them again.
-spec give_back() -> ok.
give_back() ->
    case systemd_lifecycle:is_going_down() orelse os:getenv(?TAKEN_AWAY) of
        Nothing when is_boolean(Nothing) ->
            ok;
        Text ->
            os:unsetenv(?TAKEN_AWAY),
            give_back([list_to_integer(Number) || Number <- string:lexemes(Text, " ")])
    end.

give_back([Fd, Number, Inode, Decoy | Rest]) ->
    case systemd_nif:give_back({Number, Inode, Decoy, true}, Fd) of
        ok -> ok;
        {error, Reason} ->
            logger:error("systemd: the listener on descriptor ~b gets no more connections: ~ts", [
                Fd, systemd_reason:posix(Reason)
            ])
    end,
    give_back(Rest);
give_back([]) ->
    ok.

%% Without this line, a wrong FileDescriptorName= would show only as a port in use, or not at all.
log_unmatched_name(_, _, []) ->
    ok;
log_unmatched_name(NameOrFd, Port, Fds) ->
    logger:notice("systemd: no descriptor named ~ts was passed; using port ~b. Passed: ~0tp. Set FileDescriptorName= in the "
        "socket unit", [io_lib:format("~tp", [NameOrFd]), Port, Fds]).

socket(NameOrFd) ->
    case take(info(NameOrFd)) of
        {ok, Socket} ->
            {ok, Socket};
        {error, _} = Failed ->
            %% Another process may have taken the descriptor first.
            case info(NameOrFd) of
                {ok, _} -> Failed;
                {error, _} = Gone -> Gone
            end
    end.

take({ok, #{fd := Fd}}) ->
    case socket:open(Fd) of
        {ok, Socket} ->
            case systemd_nif:hand_out(Fd) of
                ok -> {ok, Socket};
                {error, _} = Error -> _ = socket:close(Socket), Error
            end;
        {error, _} = Error ->
            Error
    end;
take({error, _} = Error) ->
    Error.
