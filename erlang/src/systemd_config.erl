%% @private
%% The config keys, with their defaults and valid values. No other module reads them.
-module(systemd_config).

-export([value/1, function/1, all/0, keys/0, problems/1, log_problems/0]).

-type key() :: {Key :: atom(), Default :: term(), What :: string(), Fits :: fun((term()) -> boolean())}.

%% docs/reference.md documents each of them.
-spec keys() -> [key()].
keys() ->
    [
        {watchdog_check, undefined, "a check of systemd_check", fun systemd_check:is_check/1},
        {watchdog_scale, 10, "an integer from 2 to 1000", in(2, 1000)},
        {watchdog_warn_after, undefined, "milliseconds", in(1, 1 bsl 32 - 1)},
        {watchdog_on_hang, withhold, "withhold, trigger or abort", one_of([withhold, trigger, abort])},
        {watchdog_crash_dump, undefined, "a path", fun is_path/1},
        {reload, restart, "restart, {M, F, A} or fun/0", or_callable(restart)},
        {reload_timeout, 90000, "milliseconds or infinity", or_in(infinity, 1, 1 bsl 32 - 1)},
        {restart_timeout, 120000, "milliseconds", in(1, 1 bsl 32 - 1)},
        {memory_pressure, undefined, "{M, F, A}, fun/0 or false", or_callable(false)},
        {handle_event, sighup, "sighup, sigusr1, sigusr2, sigquit, sigalrm, sigtstp or false",
            one_of([sighup, sigusr1, sigusr2, sigquit, sigalrm, sigtstp, false])},
        {warn_about_readiness_message, 10000, "milliseconds or false", or_in(false, 0, 1 bsl 32 - 1)},
        {install_journal, false, "true, false or options of systemd_journal_h", fun is_journal/1},
        {install_kmsg, true, "true or false", fun is_boolean/1},
        {debug_invocation, true, "true or false", fun is_boolean/1},
        {auto_formatter, true, "true or false", fun is_boolean/1},
        {unset_env, true, "true or false", fun is_boolean/1}
    ].

one_of(Values) -> fun(Value) -> lists:member(Value, Values) end.

in(Least, Most) -> fun(Value) -> is_integer(Value) andalso Value >= Least andalso Value =< Most end.

or_in(Other, Least, Most) -> fun(Value) -> Value =:= Other orelse (in(Least, Most))(Value) end.

or_callable(Other) -> fun(Value) -> Value =:= Other orelse systemd_function:is_callable(Value) end.

is_journal(Value) when length(Value) >= 0 -> Value -- [Option || {_, _} = Option <- Value] =:= [];
is_journal(Value) -> is_boolean(Value) orelse is_map(Value).

%% `file:name_all()' also allows atoms, which this rejects.
is_path(Value) ->
    try iolist_size(unicode:characters_to_binary(Value)) > 0
    catch error:_ -> false
    end.

%% Keys in this application's environment that `logger:add_handlers/1', rebar3, `systemd_lifecycle' and the application
%% controller use.
-define(OTHERS, [logger, providers, kernel_shutdown_func, included_applications]).

%% @doc The value of a key. If the value is invalid, logs that once and returns the default.
-spec value(Key :: atom()) -> term().
%% Before systemd_log runs, this logs nothing: systemd_app calls log_problems/0 later.
value(Key) -> value(Key, whereis(systemd_log) =/= undefined).

value(Key, Logs) ->
    Value = function(Key),
    case problem(Key, Value) of
        none -> Value;
        Problem -> _ = Logs andalso log_problem(Key, Value, Problem), default(Key)
    end.

%% @doc The value of a key that names a function, unchecked. If it can't be called, the call fails. Nothing else is
%% called in its place.
-spec function(Key :: atom()) -> term().
function(Key) ->
    case application:get_env(systemd, Key) of
        {ok, Value} when Value =/= nil -> Value;
        _ -> default(Key)
    end.

%% auto_formatter is the former name of install_kmsg.
default(install_kmsg) ->
    value(auto_formatter);
default(Key) ->
    {Key, Default, _, _} = lists:keyfind(Key, 1, keys()),
    Default.

log_problems() -> lists:foreach(fun({Key, _, _, _}) -> value(Key, true) end, keys()).

log_problem(Key, Value, Problem) ->
    IsCalled = lists:member(Key, [watchdog_check, reload, memory_pressure]),
    Then = case IsCalled of true -> "it can't be called"; false -> "the default is used" end,
    systemd_log:once({config, Key, erlang:phash2(Value)}, error, "systemd: ~ts; ~ts", [Problem, Then]).

-spec all() -> [{Key :: atom(), Value :: term()}].
all() -> application:get_all_env(systemd).

%% @doc A text for each invalid value and each unknown key.
-spec problems([{Key :: atom(), Value :: term()}]) -> [io_lib:chars()].
problems(Config) -> [Problem || {Key, Value} <- Config, Problem <- [problem(Key, Value)], Problem =/= none].

problem(Key, Value) ->
    case {lists:keyfind(Key, 1, keys()), lists:member(Key, ?OTHERS)} of
        {_, true} ->
            none;
        {false, _} ->
            io_lib:format("unknown config key ~0tp", [Key]);
        {{_, Default, What, Fits}, _} ->
            case Value =:= nil orelse Value =:= Default orelse Fits(Value) of
                true -> none;
                false ->
                    Shown = systemd_elixir:redacted(Value),
                    io_lib:format("config key ~ts is ~0tP, but must be ~ts", [Key, Shown, 20, What])
            end
    end.
