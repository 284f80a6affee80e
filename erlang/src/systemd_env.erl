%% @private
%% The environment variables that systemd sets for a service.
-module(systemd_env).

-export([read/0, take/0, restore/1, value/2, values/2, unset/1]).

-export_type([variables/0, part/0]).

-type variables() :: #{Name :: string() => binary()}.

-type part() :: notify | watchdog | listen_fds.

%% These stay set: each process of a service may watch memory pressure itself.
-define(SHARED, ["MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"]).

%% @doc Reads the variables. A variable that is no longer set is read from the environment that the process was started
%% with, so that a VM that restarts in place finds it again.
-spec read() -> variables().
read() -> maps:from_list([{Name, Value} || Name <- own() ++ ?SHARED, Value <- [read(Name)], Value =/= false]).

%% @doc Reads the variables, and unsets them so that child processes do not inherit them. Those of memory pressure stay.
-spec take() -> variables().
take() ->
    Variables = read(),
    _ = systemd_config:value(unset_env) andalso unset_all(own()),
    Variables.

%% @doc Sets the variables again, for the next start of the application.
-spec restore(variables()) -> ok.
restore(Variables) -> maps:foreach(fun(Name, Value) -> os:putenv(Name, decode(Value)) end, Variables).

-spec value(Name :: string(), variables()) -> binary() | false.
value(Name, Variables) -> maps:get(Name, Variables, false).

%% @doc The values of a group of variables, in the order of `names/1'.
-spec values(part(), variables()) -> [binary() | false].
values(Part, Variables) -> [value(Name, Variables) || Name <- names(Part)].

-spec unset(part()) -> ok.
unset(Part) -> unset_all(names(Part)).

unset_all(Names) -> lists:foreach(fun os:unsetenv/1, Names).

own() -> lists:flatmap(fun names/1, [notify, watchdog, listen_fds]) ++ ["FDSTORE"].

names(notify) -> ["NOTIFY_SOCKET"];
names(watchdog) -> ["WATCHDOG_USEC", "WATCHDOG_PID"];
names(listen_fds) -> ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES"].

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
