%% @private
%% Notifies systemd, and logs, if the VM is not the process that systemd started.
-module(systemd_main_pid).

-export([claim/0, watchdog_pid/1]).

-define(EXEC_PID, "SYSTEMD_EXEC_PID").

%% In milliseconds.
-define(TIMEOUT, 5000).

%% @doc Sends `MAINPID=' if a script has started the VM, and logs the result. `$SYSTEMD_EXEC_PID', see systemd.exec(5),
%% is then the PID of the script. For a VM that is neither the main process nor its child, only logs a warning.
claim() ->
    Own = os:getpid(),
    Main = os:getenv(?EXEC_PID, Own),
    case systemd_nif:relation(Main) of
        own ->
            ok;
        parent ->
            _ = systemd_notify:send([{mainpid, list_to_integer(Own)} | pidfd_id()]),
            os:putenv(?EXEC_PID, Own),
            _ = spawn(fun() -> log_result(Own, Main) end),
            ok;
        other ->
            logger:warning("systemd: this VM (PID ~ts) is neither the unit's main process (PID ~ts) nor a child of "
                "it, so systemd may ignore its notifications: ~ts", [Own, Main, advice()])
    end.

%% With MAINPIDFDID=, systemd 257 and later can tell the VM from a later process with the same PID.
pidfd_id() -> [{"MAINPIDFDID", integer_to_list(Id)} || Id <- [systemd_nif:pidfd_id()], Id =/= false].

%% @doc If the VM has replaced the main process, a `WATCHDOG_PID' of that process counts as the VM's own.
-spec watchdog_pid(Pid :: binary() | false) -> binary() | false.
watchdog_pid(Pid) ->
    Claimed = os:getenv(?EXEC_PID) =:= os:getpid(),
    case Claimed andalso Pid =:= systemd_nif:initial_env(<<?EXEC_PID>>) of
        true -> list_to_binary(os:getpid());
        false -> Pid
    end.

log_result(Own, Script) ->
    _ = systemd_notify:barrier(?TIMEOUT),
    Wrapped = io_lib:format("a script (PID ~ts) has started the VM (PID ~ts)", [Script, Own]),
    Unit = systemd_unit:name(),
    case Unit =/= false andalso systemd_unit:show(Unit, ["MainPID", "NotifyAccess"]) of
        #{"MainPID" := Own} ->
            logger:notice("systemd: ~ts, which is now the unit's main process (MAINPID=)", [Wrapped]);
        #{"NotifyAccess" := Access} ->
            logger:error("systemd: ~ts, and systemd ignores its notifications because of NotifyAccess=~ts in "
                "~ts: ~ts", [Wrapped, Access, Unit, advice()]);
        _ ->
            logger:warning("systemd: ~ts. MAINPID= was sent, but whether systemd has accepted it can't be "
                "found out. With NotifyAccess=main, the default, it has not: ~ts", [Wrapped, advice()])
    end.

advice() -> "exec the VM in the script, or set NotifyAccess=all in the unit".
