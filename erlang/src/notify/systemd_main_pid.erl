%% @private
%% Tells the manager, and the operator, when the VM is not the process that the manager started.
-module(systemd_main_pid).

-export([claim/0, heir/1]).

-define(EXEC_PID, "SYSTEMD_EXEC_PID").

%% In milliseconds.
-define(LONGEST_WAIT, 5000).

%% @doc Says `MAINPID=' where a script has started the VM, whose number is then `$SYSTEMD_EXEC_PID' in systemd.exec(5),
%% and logs what became of it. A VM further down, such as that of somebody who works in a service, is left alone.
claim() ->
    Own = os:getpid(),
    Main = os:getenv(?EXEC_PID, Own),
    case systemd_nif:relation(Main) of
        own ->
            ok;
        parent ->
            _ = systemd_notify:send([{mainpid, list_to_integer(Own)} | pidfd_id()]),
            os:putenv(?EXEC_PID, Own),
            _ = spawn(fun() -> told(Own, Main) end),
            ok;
        other ->
            logger:warning("systemd: this VM (PID ~ts) is neither the unit's main process (PID ~ts) nor a child of "
                "it, so systemd may ignore its notifications: ~ts", [Own, Main, advice()])
    end.

%% From systemd 257 on it tells the VM from a later process of the same number.
pidfd_id() -> [{"MAINPIDFDID", integer_to_list(Id)} || Id <- [systemd_nif:pidfd_id()], Id =/= false].

%% @doc Of a main process whose heir the VM is, a `WATCHDOG_PID' is the VM's own.
-spec heir(Pid :: binary() | false) -> binary() | false.
heir(Pid) ->
    Claimed = os:getenv(?EXEC_PID) =:= os:getpid(),
    case Claimed andalso Pid =:= systemd_nif:initial_env(<<?EXEC_PID>>) of
        true -> list_to_binary(os:getpid());
        false -> Pid
    end.

told(Own, Script) ->
    _ = systemd_notify:barrier(?LONGEST_WAIT),
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
