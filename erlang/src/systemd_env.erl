%% @private
%% The variables by which the service manager speaks to the process that it starts.
-module(systemd_env).

-export([read/0, take/0, restore/1, value/2, unset/1]).

-export_type([variables/0]).

-type variables() :: #{Name :: string() => binary()}.

-define(NAMES, [
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FDSTORE"
]).

%% Each process of a service may watch for itself.
-define(SHARED, ["MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"]).

%% @doc A restart of the VM finds them again among those that the process was started with, whatever was unset since.
-spec read() -> variables().
read() -> maps:from_list([{Name, Value} || Name <- ?NAMES ++ ?SHARED, (Value = read(Name)) =/= false]).

%% @doc Reads them, and unsets them for child processes, but for those of memory pressure.
-spec take() -> variables().
take() ->
    Variables = read(),
    _ = systemd_config:value(unset_env) andalso unset(?NAMES),
    Variables.

%% @doc Sets them again, for the next start of the application.
-spec restore(variables()) -> ok.
restore(Variables) -> maps:foreach(fun(Name, Value) -> os:putenv(Name, decode(Value)) end, Variables).

-spec value(Name :: string(), variables()) -> binary() | false.
value(Name, Variables) -> maps:get(Name, Variables, false).

-spec unset([string()]) -> ok.
unset(Names) -> lists:foreach(fun os:unsetenv/1, Names).

read(Name) ->
    case os:getenv(Name) of
        false -> systemd_nif:loaded() andalso systemd_nif:initial_env(list_to_binary(Name));
        Value -> unicode:characters_to_binary(Value, unicode, file:native_name_encoding())
    end.

decode(Value) ->
    case unicode:characters_to_list(Value, file:native_name_encoding()) of
        Decoded when is_list(Decoded) -> Decoded;
        _ -> binary_to_list(Value)
    end.
