%% @private
%% The way from any process to the service manager, with no process in between.
-module(systemd_notify).

-export([open/1, close/0, notifier/0, send/1, barrier/1, has_announced/1, explain/1]).
-export([under_systemd/2, until/1]).

%% A manager that reads nothing for this long, in milliseconds, has lost the notification.
-define(LONGEST_WAIT, 2000).

%% @doc Makes {@link send/1} send to that address, and tells where it can't.
-spec open(NotifySocket :: binary() | false) -> ok | {error, systemd:reason()}.
open(NotifySocket) when NotifySocket =:= false; NotifySocket =:= <<>> ->
    close();
open(NotifySocket) ->
    Opened =
        case systemd_nif:loaded() of
            true -> systemd_nif:open(NotifySocket);
            false -> {error, nif_not_loaded}
        end,
    case Opened of
        {ok, Notifier} -> persistent_term:put(?MODULE, Notifier);
        {error, _} -> persistent_term:put(?MODULE, Opened), Opened
    end.

-spec close() -> ok.
close() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% @doc `undefined' when not under systemd.
-spec notifier() -> systemd_nif:notifier() | {error, systemd:reason()} | undefined.
notifier() -> persistent_term:get(?MODULE, undefined).

-spec has_announced(ready | stopping | status) -> boolean().
has_announced(What) ->
    case notifier() of
        Notifier when is_reference(Notifier) -> systemd_nif:has_announced(Notifier, What);
        _ -> false
    end.

-spec send(systemd:state() | [systemd:state()]) -> ok | {error, systemd:reason()}.
send(States) ->
    case notifier() of
        undefined -> ok;
        {error, _} = Error -> failed(States, Error);
        Notifier ->
            case systemd_nif:notify(Notifier, States) of
                ok -> ok;
                again -> wait(Notifier, States);
                {error, _} = Error -> failed(States, Error)
            end
    end.

wait(Notifier, States) ->
    case until(fun(Rest) -> systemd_nif:notify_wait(Notifier, States, Rest) end) of
        ok -> ok;
        {error, _} = Error -> failed(States, Error)
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
    case notifier() of
        undefined -> ok;
        {error, _} = Error -> failed(What, Error);
        Notifier ->
            try Fun(Notifier) of
                ok -> ok;
                {error, _} = Error -> failed(What, Error)
            catch
                throw:{error, _} = Error -> failed(What, Error)
            end
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

failed(States, {error, Reason} = Error) ->
    What = what(States),
    systemd_log:once({What, kind(Reason)}, error, "systemd: ~0tp was not sent: ~ts", [
        What, explain(Reason)
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

%% @doc What happened, and where to look.
-spec explain(systemd:reason()) -> io_lib:chars().
explain(nif_not_loaded) ->
    ["the native library is not loaded: ", systemd_nif:load_error()];
explain({invalid_notify_socket, Value}) ->
    io_lib:format(
        "NOTIFY_SOCKET=~0tp is no absolute path, @abstract name or vsock:CID:PORT, or too long",
        [Value]
    );
explain({invalid_state, _}) ->
    "it is no systemd:state()";
explain({invalid_value, Key}) ->
    io_lib:format("the value of ~0tP breaks a rule of sd_notify(3)", [Key, 20]);
explain(bad_descriptor) ->
    "one of the descriptors is closed, or is none";
explain({invalid_fd_name, _}) ->
    "a name for a descriptor is 1 to 255 printable ASCII characters without a colon";
explain({fd_store_max, Most}) ->
    io_lib:format("the unit may store ~b descriptors, see FileDescriptorStoreMax=", [Most]);
explain(emsgsize) ->
    "it is longer than the 4096 bytes that the service manager reads";
explain(eagain) ->
    io_lib:format(
        "the service manager's queue is full, and was not read for ~b ms", [?LONGEST_WAIT]
    );
explain(etimedout) ->
    "the service manager did not come to it in time";
explain(Reason) when Reason =:= enoent; Reason =:= econnrefused ->
    io_lib:format("~ts (~ts): nobody listens on NOTIFY_SOCKET", [
        file:format_error(Reason), Reason
    ]);
explain(Reason) ->
    io_lib:format("~ts (~0tp)", [file:format_error(Reason), Reason]).
