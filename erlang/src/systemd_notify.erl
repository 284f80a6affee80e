%% @private
%% The way from any process to the service manager, with no process in between.
-module(systemd_notify).

-export([open/1, send_early/1, close/0, has_announced/1, send/1, barrier/1]).
-export([failed/2, info/0, is_absent/0, unless_absent/1, with_notifier/1, under_systemd/2, until/1]).

-export_type([announcement/0]).

-type announcement() :: ready | stopping | status | reloading.

%% A manager that reads nothing for this long, in milliseconds, has lost the notification.
-define(LONGEST_WAIT, 2000).

%% @doc Makes {@link send/1} send to that address, and tells where it can't. What {@link send_early/1} has announced
%% since the last life of the application counts.
-spec open(NotifySocket :: binary() | false) ->
    ok | not_under_systemd | {error, systemd:reason()}.
open(NotifySocket) when NotifySocket =:= false; NotifySocket =:= <<>> ->
    persistent_term:put(?MODULE, absent),
    not_under_systemd;
open(NotifySocket) ->
    IsEarly = persistent_term:erase({?MODULE, early}),
    case open(NotifySocket, not IsEarly) of
        {ok, Notifier} -> persistent_term:put(?MODULE, {Notifier, NotifySocket}), ok;
        {error, _} = Error -> persistent_term:put(?MODULE, Error), Error
    end.

open(NotifySocket, Anew) ->
    case systemd_nif:loaded() andalso systemd_nif:open(NotifySocket, Anew) of
        false -> {error, nif_not_loaded};
        Result -> Result
    end.

-spec close() -> ok.
close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% The variable is unset while the application runs.
notifier() ->
    case persistent_term:get(?MODULE, undefined) of
        undefined ->
            case os:getenv("NOTIFY_SOCKET", "") of
                "" -> absent;
                _ -> {error, not_started}
            end;
        Opened ->
            Opened
    end.

%% @doc Whether this service is not under systemd.
-spec is_absent() -> boolean().
is_absent() -> notifier() =:= absent.

%% @doc `ok' when not under systemd, the error that has kept the application from opening its way to the
%% manager, or else what `Fun' returns.
-spec unless_absent(fun(() -> Result)) -> ok | {error, systemd:reason()} | Result.
unless_absent(Fun) ->
    case notifier() of
        absent -> ok;
        {error, _} = Error -> failed(reloading, Error);
        _ -> Fun()
    end.

%% @doc Calls `Fun' with the notifier; `undefined' when not under systemd. Once more with a new one, when
%% another copy of the native library has taken the place of the one that opened it.
-spec with_notifier(fun((systemd_nif:notifier()) -> Result)) ->
    Result | {error, systemd:reason()} | undefined.
with_notifier(Fun) ->
    case notifier() of
        {Notifier, NotifySocket} when is_reference(Notifier) ->
            try Fun(Notifier)
            catch
                error:badarg:Stack ->
                    case is_current(Notifier) of
                        true -> erlang:raise(error, badarg, Stack);
                        false -> again(Notifier, NotifySocket, Fun)
                    end
            end;
        absent ->
            undefined;
        {error, _} = Error ->
            Error
    end.

is_current(Notifier) ->
    try is_boolean(systemd_nif:has_announced(Notifier, ready))
    catch error:badarg -> false
    end.

%% Unless somebody else has opened another one, or closed this one, in the meantime.
again(Stale, NotifySocket, Fun) ->
    case persistent_term:get(?MODULE, undefined) of
        {Stale, _} ->
            case open(NotifySocket, false) of
                {ok, Notifier} ->
                    persistent_term:put(?MODULE, {Notifier, NotifySocket}),
                    Fun(Notifier);
                {error, _} = Error ->
                    Error
            end;
        {Notifier, _} when is_reference(Notifier) ->
            Fun(Notifier);
        {error, _} = Error ->
            Error;
        _ ->
            undefined
    end.

-spec has_announced(announcement()) -> boolean().
has_announced(What) ->
    true =:= with_notifier(fun(Notifier) -> systemd_nif:has_announced(Notifier, What) end).

%% @doc `undefined' when not under systemd.
-spec info() ->
    {Announced :: [ready | reloading | stopping], {
        Sent :: non_neg_integer(), Failed :: non_neg_integer(), Status :: binary() | false
    }}
    | {error, systemd:reason()}
    | undefined.
info() ->
    with_notifier(fun(Notifier) ->
        Announced = [What || What <- [ready, reloading, stopping], systemd_nif:has_announced(Notifier, What)],
        {Announced, systemd_nif:notifier_info(Notifier)}
    end).

-spec send(systemd:state() | [systemd:state()]) -> ok | {error, systemd:reason()}.
send(States) ->
    case notify(States) of
        ok -> ok;
        undefined -> ok;
        again -> wait(States);
        {error, _} = Error -> failed(States, Error)
    end.

%% Mostly without with_notifier/1, which adds a fourteenth to what a notification costs.
notify(States) ->
    case persistent_term:get(?MODULE, undefined) of
        {Notifier, _} when is_reference(Notifier) ->
            try systemd_nif:notify(Notifier, States)
            catch
                error:badarg ->
                    with_notifier(fun(Current) -> systemd_nif:notify(Current, States) end)
            end;
        _ ->
            with_notifier(fun(Opened) -> systemd_nif:notify(Opened, States) end)
    end.

%% @doc {@link send/1}, also where the application is not started, which is logged as a mistake.
-spec send_early(systemd:state() | [systemd:state()]) -> ok | {error, systemd:reason()}.
send_early(States) ->
    case send(States) of
        {error, not_started} ->
            NotifySocket = systemd_env:value("NOTIFY_SOCKET", systemd_env:read()),
            IsFirst = not persistent_term:get({?MODULE, early}, false),
            send_by(open(NotifySocket, IsFirst), States);
        Result -> Result
    end.

send_by({ok, Notifier}, States) ->
    persistent_term:put({?MODULE, early}, true),
    case systemd_nif:notify(Notifier, States) of
        again -> logged(States, until(fun(Rest) -> systemd_nif:notify_wait(Notifier, States, Rest) end));
        Result -> logged(States, Result)
    end;
send_by({error, _} = Error, States) ->
    failed(States, Error).

logged(_, ok) -> ok;
logged(States, {error, _} = Error) -> failed(States, Error).

wait(States) ->
    Wait = fun(Notifier) ->
        until(fun(Rest) -> systemd_nif:notify_wait(Notifier, States, Rest) end)
    end,
    case with_notifier(Wait) of
        undefined -> ok;
        Result -> logged(States, Result)
    end.

%% @doc Calls `Wait' with the milliseconds that it may wait for the manager.
-spec until(fun((non_neg_integer()) -> busy | ok | {error, systemd:reason()})) ->
    ok | {error, systemd:reason()}.
until(Wait) -> systemd_wait:until(systemd_wait:deadline(?LONGEST_WAIT), Wait).

%% @doc `ok' when not under systemd. Logs the error that `Fun' returns or throws, as one of `What'.
-spec under_systemd(
    What :: atom(), fun((systemd_nif:notifier()) -> ok | {error, systemd:reason()})
) -> ok | {error, systemd:reason()}.
under_systemd(What, Fun) ->
    try with_notifier(Fun) of
        ok -> ok;
        undefined -> ok;
        {error, _} = Error -> failed(What, Error)
    catch
        throw:{error, _} = Error -> failed(What, Error)
    end.

%% @doc See {@link systemd:barrier/1}.
-spec barrier(timeout()) -> ok | {error, systemd:reason()}.
barrier(Timeout) ->
    under_systemd(barrier, fun(Notifier) ->
        Deadline = systemd_wait:deadline(Timeout),
        Wait = fun(Rest) -> systemd_nif:barrier(Notifier, Rest) end,
        case systemd_wait:until(Deadline, Wait) of
            {ok, Barrier} -> reach(Barrier, Deadline, 1);
            {error, _} = Error -> Error
        end
    end).

reach(Barrier, Deadline, Sleep) ->
    case systemd_nif:barrier_reached(Barrier) of
        true -> ok;
        {error, _} = Error -> Error;
        false ->
            case systemd_wait:rest(Deadline) of
                0 -> {error, etimedout};
                Rest ->
                    timer:sleep(min(Sleep, Rest)),
                    reach(Barrier, Deadline, min(2 * Sleep, 16))
            end
    end.

%% @doc Counts and logs that what was to be sent was not; returns the error.
-spec failed(systemd:state() | [systemd:state()] | (What :: atom()), Error) -> Error when
    Error :: {error, systemd:reason()}.
failed(_, {error, not_started} = Error) ->
    systemd_log:once({?MODULE, not_started}, error, "systemd: nothing is sent: ~ts", [systemd_reason:explain(not_started)]),
    Error;
failed(States, {error, Reason} = Error) ->
    _ = with_notifier(fun systemd_nif:notify_failed/1),
    What = what(States),
    systemd_log:once({What, kind(Reason)}, error, "systemd: ~0tp was not sent: ~ts", [
        What, systemd_reason:explain(Reason)
    ]),
    Error.

%% What was given as a name may be long, or secret, where it isn't one.
kind({invalid_fd_name, _}) -> invalid_fd_name;
kind(Reason) -> Reason.

%% Names what was to be sent, without its values: they may be long, or secret.
what([State]) -> what(State);
what(States) when is_list(States), length(States) < 10 -> [what(State) || State <- States];
what(State) when is_atom(State) -> State;
what({Key, _}) when is_atom(Key) -> Key;
what({Key, _}) when is_list(Key); is_binary(Key) -> custom;
what(_) -> invalid_state.
