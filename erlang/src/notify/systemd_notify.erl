%% @private
%% The way from any process to the service manager, with no process in between.
-module(systemd_notify).

-export([open/1, close/0, send/1, send_early/1, barrier/1]).
-export([is_absent/0, has_announced/1, info/0, with_notifier/2, under_systemd/2]).

-export_type([announcement/0]).

-type announcement() :: ready | stopping | status | reloading.

%% A manager that reads nothing for this long, in milliseconds, has lost the notification.
-define(LONGEST_WAIT, 2000).

%% @doc Makes {@link send/1} send to that address, and tells where it can't.
-spec open(NotifySocket :: binary() | false) -> ok | not_under_systemd | {error, systemd:reason()}.
open(NotifySocket) when NotifySocket =:= false; NotifySocket =:= <<>> ->
    persistent_term:put(?MODULE, absent),
    not_under_systemd;
open(NotifySocket) ->
    case connect(NotifySocket) of
        {ok, Notifier} -> persistent_term:put(?MODULE, {Notifier, NotifySocket}), ok;
        {error, _} = Error -> persistent_term:put(?MODULE, {Error, NotifySocket}), Error
    end.

%% What this VM has announced to the manager holds, also when the application starts once more.
connect(NotifySocket) ->
    Anew = persistent_term:get({?MODULE, announced_to}, none) =/= NotifySocket,
    case systemd_nif:loaded() andalso systemd_nif:open(NotifySocket, Anew) of
        false -> {error, nif_not_loaded};
        {ok, _} = Opened -> persistent_term:put({?MODULE, announced_to}, NotifySocket), Opened;
        {error, _} = Error -> Error
    end.

-spec close() -> ok.
close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

notifier() ->
    case persistent_term:get(?MODULE, undefined) of
        undefined ->
            %% The variable is unset while the application runs.
            case os:getenv("NOTIFY_SOCKET", "") of
                "" -> absent;
                _ -> {error, not_started}
            end;
        absent ->
            absent;
        {Opened, _} = Before ->
            case is_current(Opened) of
                true -> Opened;
                false -> connect_again(Before)
            end
    end.

%% Not where opening it has failed, nor where another copy of the native library has taken the place of the one that
%% opened it.
is_current(Opened) ->
    try systemd_nif:notify(Opened, [], 0) =:= ok
    catch error:_ -> false
    end.

connect_again({_, NotifySocket} = Before) ->
    case connect(NotifySocket) of
        {ok, Notifier} ->
            %% Unless somebody else has closed it, or opened another one.
            case persistent_term:get(?MODULE, undefined) of
                Before ->
                    persistent_term:put(?MODULE, {Notifier, NotifySocket}),
                    Notifier;
                {Other, _} when is_reference(Other) ->
                    Other;
                _ ->
                    Notifier
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Whether this service is not under systemd.
-spec is_absent() -> boolean().
is_absent() -> notifier() =:= absent.

%% @doc Calls `Fun' with the notifier; `Absent' when not under systemd. Once more when another copy of the native library
%% has come meanwhile.
-spec with_notifier(Absent, fun((systemd_nif:notifier()) -> Result)) -> Result | {error, systemd:reason()} | Absent.
with_notifier(Absent, Fun) ->
    case notifier() of
        absent ->
            Absent;
        {error, _} = Error ->
            Error;
        Notifier ->
            try Fun(Notifier)
            catch
                error:badarg:Stack ->
                    case is_current(Notifier) of
                        true -> erlang:raise(error, badarg, Stack);
                        false -> with_notifier(Absent, Fun)
                    end
            end
    end.

%% @doc `ok' when not under systemd. Logs the error that `Fun' returns or throws, as one of `What'. It gets the
%% milliseconds that it may wait.
-spec under_systemd(
    What :: atom(),
    fun((systemd_nif:notifier(), Millis :: pos_integer()) -> ok | {error, systemd:reason()})
) -> ok | {error, systemd:reason()}.
under_systemd(What, Fun) ->
    logged(What, try with_notifier(ok, fun(Notifier) -> Fun(Notifier, ?LONGEST_WAIT) end) catch throw:Error -> Error end).

-spec has_announced(announcement()) -> boolean().
has_announced(What) ->
    case persistent_term:get(?MODULE, undefined) of
        {_, _} -> systemd_nif:loaded() andalso systemd_nif:has_announced(What);
        _ -> false
    end.

%% @doc `undefined' when not under systemd.
-spec info() ->
    {Announced :: [ready | reloading | stopping], {
        Sent :: non_neg_integer(), Failed :: non_neg_integer(), Status :: binary() | false
    }}
    | {error, systemd:reason()}
    | undefined.
info() ->
    with_notifier(undefined, fun(Notifier) ->
        Announced = [What || What <- [ready, reloading, stopping], systemd_nif:has_announced(What)],
        {Announced, systemd_nif:notifier_info(Notifier)}
    end).

-spec send(systemd:state() | [systemd:state()]) -> ok | {error, systemd:reason()}.
send(States) ->
    case notify(States) of
        ok -> ok;
        Result -> logged(States, systemd_wait:reply(Result))
    end.

%% Mostly without with_notifier/2, which adds a fourteenth to what a notification costs.
notify(States) ->
    case persistent_term:get(?MODULE, undefined) of
        {Notifier, _} when is_reference(Notifier) ->
            try systemd_nif:notify(Notifier, States, ?LONGEST_WAIT)
            catch error:badarg -> with_notifier(ok, notify_fun(States))
            end;
        _ ->
            with_notifier(ok, notify_fun(States))
    end.

notify_fun(States) -> fun(Notifier) -> systemd_nif:notify(Notifier, States, ?LONGEST_WAIT) end.

%% @doc {@link send/1}, also where the application is not started, which is logged as a mistake.
-spec send_early(systemd:state() | [systemd:state()]) -> ok | {error, systemd:reason()}.
send_early(States) ->
    case send(States) of
        {error, not_started} ->
            case connect(systemd_env:value("NOTIFY_SOCKET", systemd_env:read())) of
                {ok, Notifier} -> logged(States, systemd_wait:reply((notify_fun(States))(Notifier)));
                {error, _} = Error -> logged(States, Error)
            end;
        Result ->
            Result
    end.

%% @doc See {@link systemd:barrier/1}.
-spec barrier(timeout()) -> ok | {error, systemd:reason()}.
barrier(Timeout) ->
    Deadline = systemd_wait:deadline(Timeout),
    under_systemd(barrier, fun(Notifier, Longest) -> barrier(Notifier, Longest, Deadline) end).

barrier(Notifier, Longest, Deadline) ->
    case systemd_nif:barrier(Notifier, min(systemd_wait:rest(Deadline), Longest)) of
        {error, _} = Error ->
            Error;
        {Barrier, IsSent} ->
            case {systemd_wait:reply(IsSent), systemd_wait:rest(Deadline)} of
                {ok, _} -> reach(Barrier, Deadline, 1);
                {{error, eagain}, Rest} when Rest > 0 -> barrier(Notifier, Longest, Deadline);
                {{error, _} = Error, _} -> Error
            end
    end.

reach(Barrier, Deadline, Sleep) ->
    case {systemd_nif:barrier_reached(Barrier), systemd_wait:rest(Deadline)} of
        {true, _} -> ok;
        {{error, _} = Error, _} -> Error;
        {false, 0} -> {error, etimedout};
        {false, Rest} ->
            timer:sleep(min(Sleep, Rest)),
            reach(Barrier, Deadline, min(2 * Sleep, 16))
    end.

%% Counts and logs that what was to be sent was not. However many different states there are, an error of one kind is one
%% line.
-spec logged(systemd:state() | [systemd:state()] | (What :: atom()), Result) -> Result when
    Result :: ok | {error, systemd:reason()}.
logged(_, ok) ->
    ok;
logged(_, {error, not_started} = Error) ->
    systemd_log:once({?MODULE, not_started}, error, "systemd: nothing is sent: ~ts", [systemd_reason:explain(not_started)]),
    Error;
logged(What, {error, Reason} = Error) ->
    _ = with_notifier(ok, fun systemd_nif:notify_failed/1),
    systemd_log:once({?MODULE, kind(Reason)}, error, "systemd: ~0tp was not sent: ~ts", [
        name(What), systemd_reason:explain(Reason)
    ]),
    Error.

kind(Reason) when is_tuple(Reason) -> element(1, Reason);
kind(Reason) -> Reason.

%% Without its values: they may be long, or secret.
name([State]) -> name(State);
name(States) when is_list(States), length(States) < 10 -> [name(State) || State <- States];
name(State) when is_atom(State) -> State;
name({Key, _}) when is_atom(Key) -> Key;
name({Key, _}) when is_list(Key); is_binary(Key) -> custom;
name(_) -> invalid_state.
