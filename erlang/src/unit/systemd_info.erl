%% @private
%% What the library knows and does, for {@link systemd:info/0}.
-module(systemd_info).

-export([open/1, close/0, read/0]).

%% In a VM where nothing of it is there.
-define(NOTHING, #{
    under_systemd => false, uptime => false, pid => false, exec_pid => false, unit => false, invocation_id => false,
    debug_invocation => false, notify_socket => false, error => false, announced => [], status => false,
    notifications => #{sent => 0, failed => 0}, descriptors => #{handed_over => [], store_max => unknown}
}).

%% @doc Keeps what doesn't change, so that {@link read/0} never waits for a file.
-spec open(systemd_env:variables()) -> ok.
open(Variables) ->
    Pid = os:getpid(),
    NotifySocket = systemd_env:value("NOTIFY_SOCKET", Variables),
    ExecPid = os:getenv("SYSTEMD_EXEC_PID", ""),
    %% Somebody's shell has the variables of the service that it runs in.
    IsService = NotifySocket =/= false orelse ExecPid =:= Pid,
    persistent_term:put(?MODULE, {
        erlang:monotonic_time(millisecond),
        #{
            pid => list_to_integer(Pid),
            exec_pid => exec_pid(),
            unit => IsService andalso binary(systemd_unit:name()),
            invocation_id => IsService andalso binary(os:getenv("INVOCATION_ID")),
            debug_invocation => systemd_logger:is_debug_invocation(),
            notify_socket => NotifySocket,
            descriptors => #{handed_over => systemd_listen:fds(Variables), store_max => systemd_fd_store:max_fds()}
        }
    }).

%% systemd_main_pid may have changed the variable.
exec_pid() ->
    case systemd_nif:loaded() andalso systemd_nif:initial_env(<<"SYSTEMD_EXEC_PID">>) of
        false -> false;
        Pid -> try binary_to_integer(Pid) catch error:badarg -> false end
    end.

binary(false) -> false;
binary(Text) -> unicode:characters_to_binary(Text).

close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

-spec read() -> systemd:info().
read() ->
    Info = maps:merge(maps:merge(?NOTHING, fixed()), notifier(systemd_notify:info())),
    Info#{watchdog => systemd_watchdog:info(), journal => systemd_journal_config:info()}.

fixed() ->
    case persistent_term:get(?MODULE, none) of
        none -> #{};
        {Started, Fixed} -> Fixed#{uptime => erlang:monotonic_time(millisecond) - Started}
    end.

notifier(undefined) ->
    #{};
notifier({error, Reason}) ->
    #{under_systemd => true, error => Reason};
notifier({Announced, {Sent, Failed, Status}}) ->
    #{
        under_systemd => true, announced => Announced, status => Status,
        notifications => #{sent => Sent, failed => Failed}
    }.
