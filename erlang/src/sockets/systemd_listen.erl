%% @private
%% The descriptors that the service manager hands over, see sd_listen_fds(3).
-module(systemd_listen).

-export([check/1, fds/0, fds/1, opts/1, opts/2, socket/1, info/1]).

-type handed_over() :: [{non_neg_integer(), Name :: binary() | false}].

%% As much as the kernel allows (net.core.somaxconn). Listening once more replaces the backlog of
%% the socket, with 5 if nothing is said.
-define(BACKLOG, 4096).

%% @doc Tells when there is something wrong with what was handed over.
-spec check(systemd_env:variables()) -> ok.
check(Variables) ->
    case read(Variables) of
        {ok, _} ->
            ok;
        {error, Reason} ->
            Format = "systemd: no descriptor is taken over: LISTEN_FDS=~ts, but ~ts",
            Count = systemd_env:value("LISTEN_FDS", Variables),
            logger:error(Format, [Count, explain(Reason, Variables)])
    end.

-spec read(systemd_env:variables()) -> {ok, handed_over()} | {error, term()}.
read(Variables) ->
    Value = fun(Name) -> systemd_env:value(Name, Variables) end,
    case {Value("LISTEN_FDS"), systemd_nif:loaded()} of
        {false, _} -> {ok, []};
        {_, false} -> {error, nif_not_loaded};
        {Fds, true} -> systemd_nif:listen_fds(Fds, Value("LISTEN_PID"), Value("LISTEN_FDNAMES"))
    end.

explain(nif_not_loaded, _) ->
    systemd_reason:explain(nif_not_loaded);
explain({invalid_value, Name}, Variables) ->
    Value = systemd_env:value(binary_to_list(Name), Variables),
    io_lib:format("~ts=~ts is not what the service manager sets", [Name, Value]);
explain({other_process, nil}, _) ->
    "LISTEN_PID is not set";
explain({other_process, Pid}, _) ->
    io_lib:format(
        "LISTEN_PID=~b is another process than this one, ~s: what ExecStart= runs must exec the VM",
        [Pid, os:getpid()]
    );
explain({closed, Fd}, _) ->
    io_lib:format("~b is closed", [Fd]).

%% Asked anew each time, because a connection is handed out once. Works before the application is
%% started, for `config/runtime.exs'.
handed_over() -> handed_over(systemd_env:read()).

handed_over(Variables) ->
    case read(Variables) of
        {ok, Fds} -> Fds;
        {error, _} -> []
    end.

%% @doc See {@link systemd:listen_fds/0}.
-spec fds() -> [systemd:fd()].
fds() -> fds(systemd_env:read()).

-spec fds(systemd_env:variables()) -> [systemd:fd()].
fds(Variables) -> [named(Fd, Name) || {Fd, Name} <- handed_over(Variables)].

named(Fd, false) -> Fd;
named(Fd, Name) -> {Fd, binary_to_list(Name)}.

find(Fd) when is_integer(Fd), Fd >= 0, Fd < 1 bsl 31 ->
    case systemd_nif:loaded() of
        true -> {ok, Fd};
        false -> {error, nif_not_loaded}
    end;
find(Name) ->
    case systemd_nif:loaded() andalso systemd_nif:fd_name(Name) of
        {ok, FdName} -> find(Name, [Fd || {Fd, Given} <- handed_over(), Given =:= FdName]);
        _ -> find(Name, [])
    end.

find(_, [Fd]) -> {ok, Fd};
find(Name, []) -> {error, {no_such_fd, Name}};
find(Name, Several) -> {error, {several_fds, Name, Several}}.

%% @doc See {@link systemd:listen_info/1}.
-spec info(systemd:fd_name() | non_neg_integer()) ->
    {ok, systemd:fd_info()} | {error, systemd:reason()}.
info(NameOrFd) ->
    case find(NameOrFd) of
        {ok, Fd} -> info_of(Fd);
        {error, _} = Error -> Error
    end.

info_of(Fd) ->
    case systemd_nif:socket_info(Fd) of
        {ok, {Family, Type, Listening, Connected, Address}} ->
            {ok, #{
                fd => Fd,
                family => Family,
                type => Type,
                listening => Listening,
                connected => Connected,
                address => Address
            }};
        {error, ebadf} ->
            {error, bad_descriptor};
        {error, _} = Error ->
            Error
    end.

%% @doc See {@link systemd:listen_opts/1}.
-spec opts(systemd:fd_name() | non_neg_integer()) ->
    {ok, [gen_tcp:listen_option()] | [gen_udp:open_option()]} | {error, systemd:reason()}.
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

%% @doc See {@link systemd:listen_opts/2}.
-spec opts(systemd:fd_name() | non_neg_integer(), inet:port_number()) ->
    {ok, inet:port_number(), [gen_tcp:listen_option()] | [gen_udp:open_option()]}
    | {error, systemd:reason()}.
opts(NameOrFd, Port) ->
    case opts(NameOrFd) of
        {ok, Options} ->
            {ok, 0, Options};
        {error, {no_such_fd, _}} ->
            tell_of_others(NameOrFd, Port, fds()),
            {ok, Port, []};
        {error, _} = Error ->
            Error
    end.

%% A name that is not that of the socket unit would be noticed by a port that is in use, or by nobody.
tell_of_others(_, _, []) ->
    ok;
tell_of_others(NameOrFd, Port, Fds) ->
    Format =
        "systemd: nothing that systemd handed over is called ~ts, so that port ~b is used. There are: ~0tp; "
        "see FileDescriptorName= in the socket unit",
    logger:notice(Format, [io_lib:format("~tp", [NameOrFd]), Port, Fds]).

%% @doc See {@link systemd:listen_socket/1}.
-spec socket(systemd:fd_name() | non_neg_integer()) ->
    {ok, socket:socket()} | {error, systemd:reason()}.
socket(NameOrFd) ->
    case take(NameOrFd) of
        {ok, Socket} ->
            {ok, Socket};
        {error, _} = Failed ->
            %% Because another process was first?
            case info(NameOrFd) of
                {ok, _} -> Failed;
                {error, _} = Gone -> Gone
            end
    end.

take(NameOrFd) ->
    case info(NameOrFd) of
        {ok, #{fd := Fd}} -> open(Fd);
        {error, _} = Error -> Error
    end.

open(Fd) ->
    case socket:open(Fd) of
        {ok, Socket} ->
            case systemd_nif:hand_out(Fd) of
                ok ->
                    {ok, Socket};
                {error, _} = Error ->
                    _ = socket:close(Socket),
                    Error
            end;
        {error, _} = Error ->
            Error
    end.
