%% @private
%% Stores descriptors with systemd while the service restarts, see `FDSTORE=1' in sd_notify(3).
-module(systemd_fd_store).

-export([open/1, close/0, max_fds/0, store/2, clear/1, store_term/2, fetch_term/1]).

%% @doc Remembers how many descriptors the unit may store, if systemd says so.
-spec open(systemd_env:variables()) -> ok.
open(Variables) -> persistent_term:put(?MODULE, max_fds(Variables)).

close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% Both variables exist since systemd 254, which sets FDSTORE only if the unit may store descriptors.
max_fds(Variables) ->
    case {systemd_env:value("FDSTORE", Variables), os:getenv("MEMORY_PRESSURE_WATCH")} of
        {false, false} -> unknown;
        {false, _} -> 0;
        {Max, _} -> try binary_to_integer(Max) catch error:badarg -> unknown end
    end.

-spec max_fds() -> integer() | unknown.
max_fds() -> persistent_term:get(?MODULE, unknown).

store(Fds, Poll) ->
    store(store_fds, length(Fds), fun(Notifier, Millis) ->
        systemd_nif:store_fds(Notifier, [numbered(Fd) || Fd <- Fds], Poll, Millis)
    end).

store(What, Count, Fun) ->
    systemd_notify:under_systemd(What, fun(Notifier, Millis) ->
        case max_fds() of
            Max when is_integer(Max), Count > Max -> {error, {fd_store_max, Max}};
            _ -> Fun(Notifier, Millis)
        end
    end).

%% The native library rejects what is not a number.
numbered({'$socket', _} = Socket) -> number(Socket);
numbered({Fd, Name}) -> {number(Fd), Name};
numbered(Fd) -> number(Fd).

number(Port) when is_port(Port) -> opened(fun() -> inet:getfd(Port) end);
number({'$inet', _Module, {_Server, Socket}}) -> number(Socket);
number({'$socket', _} = Socket) -> opened(fun() -> socket:getopt(Socket, {otp, fd}) end);
number(Fd) -> Fd.

opened(Ask) ->
    try {ok, Fd} = Ask(), Fd
    catch _:_ -> closed
    end.

clear(Names) ->
    systemd_notify:under_systemd(clear_fds, fun(Notifier, Millis) ->
        systemd_nif:clear_fds(Notifier, Names, Millis)
    end).

store_term(Name, Term) ->
    store(store_term, 1, fun(Notifier, Millis) ->
        systemd_nif:store_term(Notifier, Name, term_to_binary(Term), Millis)
    end).

fetch_term(Name) ->
    case systemd_nif:loaded() andalso systemd_nif:fetch_term(Name) of
        {ok, Bytes} -> decode(Name, Bytes);
        {error, _} = Error -> Error;
        _ -> {error, {no_such_fd, Name}}
    end.

%% Another program may have stored the file, so it may not be a term.
decode(Name, Bytes) ->
    try {ok, binary_to_term(Bytes)}
    catch error:badarg -> {error, {no_such_fd, Name}}
    end.
