%% @private
%% What the checks see of single processes. One on another node is that node's matter.
-module(systemd_check_process).

-export([process/2, mailbox/3, supervisor/2]).

-type result() :: true | io_lib:chars().

%% @doc Whether it answers. Every process that is sys-compliant handles this message without calling code of its own.
-spec process(systemd_check:name(), Millis :: pos_integer()) -> result().
process(Name, Millis) ->
    look(Name, Millis, fun(Pid) ->
        _ = sys:statistics(Pid, get, Millis),
        true
    end).

%% @doc One that is long in native code doesn't tell the length, and has not answered in time.
-spec mailbox(systemd_check:name(), Max :: non_neg_integer(), Millis :: pos_integer()) -> result().
mailbox(Name, Max, Millis) ->
    look(Name, Millis, fun(Pid) ->
        case systemd_wait:process_info(Pid, message_queue_len, Millis) of
            {ok, Length} when Length > Max -> io_lib:format(" ~b > ~b", [Length, Max]);
            {ok, _} -> true;
            ended -> exit(noproc);
            late -> exit({timeout, mailbox})
        end
    end).

%% @doc Whether no child of it is down while it should be up. One that is `undefined' has returned `ignore', is
%% transient and done, or was terminated by somebody: a supervisor doesn't tell these apart.
-spec supervisor(systemd_check:name(), Millis :: pos_integer()) -> result().
supervisor(Name, Millis) ->
    look(Name, Millis, fun(Pid) ->
        case gen_server:call(Pid, count_children, Millis) of
            [_, {active, Active}, {supervisors, Supervisors}, {workers, Workers}] ->
                All = Supervisors + Workers,
                %% To list the children takes long where there are many.
                Active =:= All orelse up(gen_server:call(Pid, which_children, Millis), All);
            _ ->
                " is no supervisor"
        end
    end).

up(Children, All) ->
    case [Id || {Id, restarting, _, _} <- Children] of
        [] -> true;
        %% Children that were added by start_child/2 to a template have no names.
        [undefined | _] = Ids -> io_lib:format(": ~b of ~b children are not up", [length(Ids), All]);
        [Id | _] -> io_lib:format(": child ~ts is not up", [systemd_check:name_of(Id)])
    end.

look(Name, Millis, Fun) ->
    case whereis_name(Name) of
        undefined ->
            " is not registered";
        Pid when node(Pid) =/= node() ->
            true;
        Pid ->
            try Fun(Pid)
            catch
                exit:{timeout, _} -> io_lib:format(" has not answered within ~b ms", [Millis]);
                exit:_ -> " has ended"
            end
    end.

whereis_name({global, Name}) -> global:whereis_name(Name);
whereis_name({via, Module, Name}) ->
    %% Elixir's Registry raises when it doesn't run.
    try Module:whereis_name(Name) catch _:_ -> undefined end;
whereis_name(Pid) when is_pid(Pid) -> Pid;
whereis_name(Name) -> whereis(Name).
