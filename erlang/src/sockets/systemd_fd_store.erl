%% @private
%% Descriptors that the service manager keeps while the service restarts: see `FDSTORE=1' in sd_notify(3).
-module(systemd_fd_store).

-export([open/1, close/0, max_fds/0, store/2, clear/1, store_term/2, fetch_term/1]).

%% The kernel passes no more with one message (SCM_MAX_FD).
-define(MAX_PER_MESSAGE, 253).

%% @doc Remembers how many descriptors the unit may store, where the manager says it.
-spec open(systemd_env:variables()) -> ok.
open(Variables) -> persistent_term:put(?MODULE, max_fds(Variables)).

close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% systemd 254 came with both variables, and sets FDSTORE if the unit may store any.
max_fds(Variables) ->
    case {systemd_env:value("FDSTORE", Variables), os:getenv("MEMORY_PRESSURE_WATCH")} of
        {false, false} -> unknown;
        {false, _} -> 0;
        {Max, _} -> try binary_to_integer(Max) catch error:badarg -> unknown end
    end.

%% @doc How many descriptors the unit may store.
-spec max_fds() -> integer() | unknown.
max_fds() -> persistent_term:get(?MODULE, unknown).

admit(Count) ->
    case max_fds() of
        Max when is_integer(Max), Count > Max -> throw({error, {fd_store_max, Max}});
        _ -> ok
    end.

store(Fds, Poll) ->
    systemd_notify:under_systemd(store_fds, fun(Notifier, Millis) ->
        Named = [named(Fd) || Fd <- Fds],
        admit(length(Named)),
        case systemd_wait:reply(systemd_nif:store_fds(Notifier, messages(Named), Poll, Millis)) of
            {error, ebadf} -> {error, bad_descriptor};
            Result -> Result
        end
    end).

named({'$socket', _} = Socket) -> {number(Socket), false};
named({Fd, Name}) -> {number(Fd), or_throw(systemd_nif:fd_name(Name))};
named(Fd) -> {number(Fd), false}.

number(Fd) when is_integer(Fd), Fd >= 0, Fd < 1 bsl 31 -> Fd;
number(Port) when is_port(Port) -> open_number(catch inet:getfd(Port));
number({'$inet', _Module, {_Server, Socket}}) -> number(Socket);
number({'$socket', _} = Socket) -> open_number(catch socket:getopt(Socket, {otp, fd}));
number(_) -> throw({error, bad_descriptor}).

open_number({ok, Fd}) -> Fd;
open_number(_) -> throw({error, bad_descriptor}).

or_throw({ok, Value}) -> Value;
or_throw(ok) -> ok;
or_throw({error, _} = Error) -> throw(Error).

%% One message for each name, and more where it has more than fit into one.
messages(Named) ->
    Names = lists:usort([Name || {_, Name} <- Named]),
    [{Name, Part} || Name <- Names, Part <- parts([Fd || {Fd, Of} <- Named, Of =:= Name])].

parts(Fds) when length(Fds) =< ?MAX_PER_MESSAGE ->
    [Fds];
parts(Fds) ->
    {Part, Rest} = lists:split(?MAX_PER_MESSAGE, Fds),
    [Part | parts(Rest)].

clear(Names) ->
    systemd_notify:under_systemd(clear_fds, fun(Notifier, Millis) ->
        lists:foreach(
            fun(Name) -> ok = or_throw(systemd_wait:reply(systemd_nif:clear_fds(Notifier, Name, Millis))) end,
            lists:usort([or_throw(systemd_nif:fd_name(Name)) || Name <- Names])
        )
    end).

store_term(Name, Term) ->
    systemd_notify:under_systemd(store_term, fun(Notifier, Millis) ->
        FdName = or_throw(systemd_nif:fd_name(Name)),
        admit(1),
        systemd_wait:reply(systemd_nif:store_term(Notifier, FdName, term_to_binary(Term), Millis))
    end).

fetch_term(Name) ->
    case systemd_nif:loaded() andalso systemd_nif:fd_name(Name) of
        false -> {error, {no_such_fd, Name}};
        {error, _} = Error -> Error;
        {ok, FdName} ->
            case systemd_nif:fetch_term(FdName) of
                {ok, Bytes} -> decode(Name, Bytes);
                undefined -> {error, {no_such_fd, Name}};
                {error, _} = Error -> Error
            end
    end.

%% Not every writer of such a file need be this module.
decode(Name, Bytes) ->
    try {ok, binary_to_term(Bytes)}
    catch error:badarg -> {error, {no_such_fd, Name}}
    end.
