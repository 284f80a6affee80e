%% @private
%% Sends notifications from any process to systemd, with no process in between.
-module(systemd_notify).

-export([open/1, close/0, send/1, send_early/1, barrier/1]).
-export([is_absent/0, has_announced/1, info/0, with_notifier/2, under_systemd/2]).

-export_type([announcement/0]).

-type announcement() :: ready | stopping | status | reloading.
-type opened() :: {ok, systemd_nif:notifier()} | {error, systemd:reason()} | absent.
-type result() :: ok | {error, systemd:reason()}.

%% How long to wait until systemd reads, in milliseconds. After that the notification is lost.
-define(TIMEOUT, 2000).

%% @doc Connects {@link send/1} to that address, or returns why that failed.
-spec open(NotifySocket :: binary() | false) -> opened().
open(NotifySocket) when NotifySocket =:= false; NotifySocket =:= <<>> ->
    persistent_term:put(?MODULE, absent),
    absent;
open(NotifySocket) ->
    Opened = connect(NotifySocket),
    persistent_term:put(?MODULE, {Opened, NotifySocket}),
    Opened.

%% What this VM has announced to systemd stays announced when the application starts again.
connect(NotifySocket) ->
    IsNewAddress = persistent_term:get({?MODULE, announced_to}, none) =/= NotifySocket,
    case systemd_nif:loaded() andalso systemd_nif:open(NotifySocket, IsNewAddress) of
        false -> {error, nif_not_loaded};
        {ok, _} = Opened -> persistent_term:put({?MODULE, announced_to}, NotifySocket), Opened;
        {error, _} = Error -> Error
    end.

close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% @doc Whether the VM runs outside of systemd.
-spec is_absent() -> boolean().
is_absent() -> with_notifier(absent, fun(_) -> there end) =:= absent.

%% @doc Calls `Fun' with the notifier. If another copy of the library has made it, makes a new one and calls `Fun'
%% again. Returns `Absent' outside of systemd.
-spec with_notifier(Absent, fun((systemd_nif:notifier()) -> Result)) -> Result | {error, systemd:reason()} | Absent.
with_notifier(Absent, Fun) ->
    case persistent_term:get(?MODULE, undefined) of
        {{ok, Notifier}, _} = Opened ->
            try Fun(Notifier)
            catch error:badarg:Stack ->
                _ = is_current(Notifier) andalso erlang:raise(error, badarg, Stack),
                open_again(Opened, Absent, Fun)
            end;
        {{error, _}, _} = NotOpened ->
            open_again(NotOpened, Absent, Fun);
        absent ->
            Absent;
        %% If the application were running, it would have unset the variable.
        undefined ->
            case os:getenv("NOTIFY_SOCKET", "") of
                "" -> Absent;
                _ -> {error, not_started}
            end
    end.

is_current(Notifier) ->
    try systemd_nif:notify(Notifier, [], 0) =:= ok
    catch error:_ -> false
    end.

%% Another process may have closed or opened the notifier in the meantime. Then this does not replace it.
open_again({_, NotifySocket} = Before, Absent, Fun) ->
    case connect(NotifySocket) of
        {ok, _} = Opened ->
            _ = persistent_term:get(?MODULE, undefined) =:= Before andalso
                persistent_term:put(?MODULE, {Opened, NotifySocket}),
            with_notifier(Absent, Fun);
        {error, _} = Error ->
            Error
    end.

%% @doc Calls `Fun', which may wait for `Millis'. Logs what it returns as an error of `What'. Returns `ok' outside of
%% systemd.
-spec under_systemd(What :: atom(), fun((systemd_nif:notifier(), Millis :: pos_integer()) -> Sent)) -> result() when
    Sent :: systemd_wait:reply(result()).
under_systemd(What, Fun) ->
    logged(What, with_notifier(ok, fun(Notifier) -> Fun(Notifier, ?TIMEOUT) end)).

-spec has_announced(announcement()) -> boolean().
has_announced(What) ->
    IsOpen = is_tuple(persistent_term:get(?MODULE, undefined)),
    IsOpen andalso systemd_nif:loaded() andalso systemd_nif:has_announced(What).

%% @doc `undefined' outside of systemd.
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

-spec send(systemd:state() | [systemd:state()]) -> result().
send(States) -> logged(States, notify(States)).

%% Usually calls no fun, because a fun adds a fortieth to the cost of a notification.
notify(States) ->
    case persistent_term:get(?MODULE, undefined) of
        {{ok, Notifier}, _} ->
            try notify(Notifier, States)
            catch error:badarg -> with_notifier(ok, fun(Current) -> notify(Current, States) end)
            end;
        _ ->
            with_notifier(ok, fun(Opened) -> notify(Opened, States) end)
    end.

notify(Notifier, States) -> systemd_nif:notify(Notifier, States, ?TIMEOUT).

%% @doc Like {@link send/1}. If the application is not running, also sends, and logs that as a mistake.
-spec send_early(systemd:state() | [systemd:state()]) -> result().
send_early(States) ->
    case send(States) of
        {error, not_started} ->
            case connect(systemd_env:value("NOTIFY_SOCKET", systemd_env:read())) of
                {ok, Notifier} -> logged(States, notify(Notifier, States));
                {error, _} = Error -> logged(States, Error)
            end;
        Result ->
            Result
    end.

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

%% Counts and logs that a notification failed. Errors of one kind are logged once, for however many states.
-spec logged(systemd:state() | [systemd:state()] | (What :: atom()), systemd_wait:reply(result())) -> result().
logged(_, ok) ->
    ok;
logged(What, Reference) when is_reference(Reference) ->
    logged(What, systemd_wait:reply(Reference));
logged(_, {error, not_started = Reason} = Error) ->
    systemd_log:once({?MODULE, Reason}, error, "systemd: nothing is sent: ~ts", [systemd_reason:explain(Reason)]),
    Error;
logged(What, {error, Reason} = Error) ->
    _ = with_notifier(ok, fun systemd_nif:notify_failed/1),
    systemd_log:once({?MODULE, kind(Reason)}, error, "systemd: notification ~0tp failed: ~ts", [
        name(What), systemd_reason:explain(Reason)
    ]),
    Error.

kind(Reason) when is_tuple(Reason) -> element(1, Reason);
kind(Reason) -> Reason.

%% States without their values, which may be long or secret.
name([State]) -> name(State);
name(States) when is_list(States), length(States) < 10 -> [name(State) || State <- States];
name(State) when is_atom(State) -> State;
name({Key, _}) when is_atom(Key) -> Key;
name({Key, _}) when is_list(Key); is_binary(Key) -> custom;
name(_) -> invalid_state.
