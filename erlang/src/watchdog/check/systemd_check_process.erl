%% @private
%% Checks single processes. A process on another node passes: that node has to check it.
-module(systemd_check_process).

-export([process/2, mailbox/3, supervisor/2]).

-type result() :: true | io_lib:chars().

%% @doc Whether the process answers. Any process that handles the messages of `sys' does so without code of its own.
-spec process(systemd_check:name(), Millis :: pos_integer()) -> result().
process(Name, Millis) ->
    look(Name, Millis, fun(Pid) ->
        _ = sys:statistics(Pid, get, Millis),
        true
    end).

%% @doc A process in a long native call does not return its number of messages, and fails as one that has not answered.
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

%% @doc Whether no child is stuck restarting. A child that is `undefined' passes: it has returned `ignore', is transient
%% and has ended, or somebody has terminated it. A supervisor does not tell these apart.
-spec supervisor(systemd_check:name(), Millis :: pos_integer()) -> result().
supervisor(Name, Millis) ->
    look(Name, Millis, fun(Pid) ->
        case gen_server:call(Pid, count_children, Millis) of
            [_, {active, Active}, {supervisors, Supervisors}, {workers, Workers}] ->
                All = Supervisors + Workers,
                %% Listing the children takes long if there are many.
                Active =:= All orelse up(gen_server:call(Pid, which_children, Millis), All);
            _ ->
                " is no supervisor"
        end
    end).

up(Children, All) ->
    case [Id || {Id, restarting, _, _} <- Children] of
        [] -> true;
        %% Children of a simple_one_for_one supervisor have no names.
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
    %% Elixir's Registry raises if it is not running.
    try Module:whereis_name(Name) catch _:_ -> undefined end;
whereis_name(Pid) when is_pid(Pid) -> Pid;
whereis_name(Name) -> whereis(Name).
