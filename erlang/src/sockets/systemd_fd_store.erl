%% @private
%% Descriptors that the service manager keeps while the service restarts: see `FDSTORE=1' in
%% sd_notify(3).
-module(systemd_fd_store).

-export([open/1, close/0, most/0, admits/1, store/2, clear/1]).

%% The kernel passes no more with one message (SCM_MAX_FD).
-define(MOST, 253).

%% @doc Remembers how many descriptors the unit may store, where the manager says it.
-spec open(systemd_env:variables()) -> ok.
open(Variables) -> persistent_term:put(?MODULE, most(Variables)).

-spec close() -> ok.
close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% systemd 254 came with both variables, and sets FDSTORE if the unit may store any.
most(Variables) ->
    case {systemd_env:value("FDSTORE", Variables), os:getenv("MEMORY_PRESSURE_WATCH")} of
        {false, false} -> unknown;
        {false, _} -> 0;
        {Most, _} -> try binary_to_integer(Most) catch error:badarg -> unknown end
    end.

%% @doc How many descriptors the unit may store.
-spec most() -> integer() | unknown.
most() -> persistent_term:get(?MODULE, unknown).

%% @doc Whether the unit may store so many.
-spec admits(non_neg_integer()) -> ok | {error, {fd_store_max, integer()}}.
admits(Count) ->
    case most() of
        Most when is_integer(Most), Count > Most -> {error, {fd_store_max, Most}};
        _ -> ok
    end.

%% @doc See {@link systemd:store_fds/2}.
-spec store([systemd:storable()], Poll :: boolean()) -> ok | {error, systemd:reason()}.
store(Fds, Poll) ->
    systemd_notify:under_systemd(store_fds, fun(Notifier, Millis) ->
        Named = [named(Fd) || Fd <- Fds],
        ok = or_throw(admits(length(Named))),
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
    [
        {Name, Part}
     || Name <- Names, Part <- parts([Fd || {Fd, Of} <- Named, Of =:= Name])
    ].

parts(Fds) when length(Fds) =< ?MOST ->
    [Fds];
parts(Fds) ->
    {Part, Rest} = lists:split(?MOST, Fds),
    [Part | parts(Rest)].

%% @doc See {@link systemd:clear_fds/1}.
-spec clear([systemd:fd_name()]) -> ok | {error, systemd:reason()}.
clear(Names) ->
    systemd_notify:under_systemd(clear_fds, fun(Notifier, Millis) ->
        lists:foreach(
            fun(Name) -> ok = or_throw(systemd_wait:reply(systemd_nif:clear_fds(Notifier, Name, Millis))) end,
            lists:usort([or_throw(systemd_nif:fd_name(Name)) || Name <- Names])
        )
    end).
