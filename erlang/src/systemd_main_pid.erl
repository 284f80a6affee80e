%% @private
%% Tells the manager, and the operator, when the VM is not the process that the manager started.
-module(systemd_main_pid).

-export([is_main/0, is_wrapped/0, claim/0]).

%% In milliseconds.
-define(LONGEST_WAIT, 5000).

%% @doc False in a child process of the one that `ExecStart=' has started, whose number is
%% `$SYSTEMD_EXEC_PID' in systemd.exec(5).
-spec is_main() -> boolean().
is_main() -> lists:member(os:getenv("SYSTEMD_EXEC_PID"), [false, os:getpid()]).

%% @doc Whether a script has started the VM, and waits for it.
-spec is_wrapped() -> boolean().
is_wrapped() ->
    not is_main() andalso
        systemd_nif:loaded() andalso
        os:getenv("SYSTEMD_EXEC_PID") =:= integer_to_list(systemd_nif:parent()).

%% @doc Says `MAINPID=' where a script has started the VM, and logs what became of it. A VM further down,
%% such as that of somebody who works in a service of another kind, is left alone.
-spec claim() -> ok.
claim() ->
    case is_wrapped() of
        true ->
            _ = systemd_notify:send({mainpid, list_to_integer(os:getpid())}),
            _ = spawn(fun told/0),
            ok;
        false ->
            is_main() orelse
                logger:warning(
                    "systemd: this VM, process ~ts, is neither the main process of a unit, ~ts, nor a child "
                    "of it: ~ts", [os:getpid(), os:getenv("SYSTEMD_EXEC_PID"), advice()]
                ),
            ok
    end.

told() ->
    _ = systemd_notify:barrier(?LONGEST_WAIT),
    Wrapped = io_lib:format("the VM, process ~ts, was started by a script, process ~ts", [
        os:getpid(), os:getenv("SYSTEMD_EXEC_PID")
    ]),
    Own = os:getpid(),
    case show(unit()) of
        #{"MainPID" := Own} ->
            logger:notice("systemd: ~ts; by MAINPID= it is now the unit's main process", [Wrapped]);
        #{"NotifyAccess" := Access} ->
            logger:error("systemd: ~ts, and NotifyAccess=~ts of ~ts keeps all that it notifies from the "
                "manager: ~ts", [Wrapped, Access, unit(), advice()]);
        #{} ->
            logger:warning("systemd: ~ts: MAINPID= was sent, and whether the manager takes it can't be found "
                "out. It does not with NotifyAccess=main, the default: ~ts", [Wrapped, advice()])
    end.

advice() -> "have the script start the VM by exec, or set NotifyAccess=all in the unit".

%% The unit is the last part of the control group's path, unless it has made groups of its own.
unit() ->
    case file:read_file("/proc/self/cgroup") of
        {ok, Groups} ->
            Units = [
                Part
             || Part <- binary:split(Groups, [<<"/">>, <<"\n">>], [global]),
                filename:extension(Part) =:= <<".service">>
            ],
            case Units of [] -> "the unit"; _ -> binary_to_list(lists:last(Units)) end;
        {error, _} ->
            "the unit"
    end.

%% What `systemctl' may ask; nothing where it can't.
show(Unit) ->
    case os:find_executable("systemctl") of
        false ->
            #{};
        Systemctl ->
            Args = ["show", "--property=MainPID", "--property=NotifyAccess", "--", Unit],
            Port = open_port({spawn_executable, Systemctl}, [
                {args, Args}, {line, 1000}, exit_status, stderr_to_stdout, in
            ]),
            properties(Port, systemd_wait:deadline(?LONGEST_WAIT), #{})
    end.

properties(Port, Deadline, Properties) ->
    receive
        {Port, {data, {_, Line}}} ->
            case string:split(Line, "=") of
                [Name, Value] -> properties(Port, Deadline, Properties#{Name => Value});
                _ -> properties(Port, Deadline, Properties)
            end;
        {Port, {exit_status, _}} ->
            Properties
    after systemd_wait:rest(Deadline) ->
        port_close(Port),
        #{}
    end.
