%% @private
%% Config keys, and what they may be.
-module(systemd_config).

-export([value/2, optional/1, problems/1]).

%% @doc The default also in the place of one that makes no sense, of which the log tells.
-spec value(Key :: atom(), Default) -> Default when Default :: term().
value(Key, Default) ->
    Value = application:get_env(systemd, Key, Default),
    case problem({Key, Value}) of
        [] ->
            Value;
        [Problem] ->
            systemd_log:say(error, "systemd: ~ts; ~0tp is used", [Problem, Default]),
            Default
    end.

%% @doc `undefined' also for `nil', by which Elixir says that there is none.
-spec optional(Key :: atom()) -> undefined | term().
optional(Key) ->
    case application:get_env(systemd, Key, undefined) of
        nil -> undefined;
        Value -> Value
    end.

%% @doc What is wrong with all the keys of this application, in words.
-spec problems([{Key :: atom(), Value :: term()}]) -> [io_lib:chars()].
problems(Config) -> lists:flatmap(fun problem/1, Config).

problem({Key, Value}) ->
    case what_fits(Key) of
        unknown ->
            [io_lib:format("config key ~0tp: there is none of that name", [Key])];
        {What, Fits} ->
            [io_lib:format("config key ~ts is ~0tP, and not ~ts", [Key, systemd_elixir:redacted(Value), 20, What]) || not Fits(Value)]
    end.

what_fits(install_journal) ->
    {"true, false or options of systemd_journal_h", fun(Value) ->
        is_boolean(Value) orelse is_map(Value) orelse (is_list(Value) andalso lists:all(fun is_option/1, Value))
    end};
what_fits(Key) when Key =:= install_kmsg; Key =:= unset_env ->
    {"true or false", fun is_boolean/1};
what_fits(handle_event) ->
    {"sighup or false", fun(Value) -> lists:member(Value, [sighup, false]) end};
what_fits(warn_about_readiness_message) ->
    {"milliseconds or false", fun(Value) -> Value =:= false orelse is_at_least(0, Value) end};
what_fits(watchdog_scale) ->
    {"an integer of at least 2", fun(Value) -> is_at_least(2, Value) end};
what_fits(Key) when Key =:= restart_timeout; Key =:= watchdog_warn_after ->
    {"milliseconds", fun(Value) -> is_at_least(1, Value) end};
what_fits(watchdog_on_hang) ->
    {"withhold, trigger or abort", fun(Value) -> lists:member(Value, [withhold, trigger, abort]) end};
what_fits(watchdog_crash_dump) ->
    {"a path", fun(Value) -> is_none(Value) orelse is_path(Value) end};
what_fits(watchdog_check) ->
    {"a check of systemd_check", fun(Value) -> is_none(Value) orelse systemd_check:is_check(Value) end};
what_fits(memory_pressure) ->
    {"{M, F, A}, fun/0 or false", fun(Value) ->
        is_none(Value) orelse Value =:= false orelse systemd_function:is_callable(Value)
    end};
what_fits(reload) ->
    {"restart, {M, F, A} or fun/0", fun(Value) -> Value =:= restart orelse systemd_function:is_callable(Value) end};
%% Of `logger:add_handlers/1', of rebar3, and what the VM adds.
what_fits(Key) when Key =:= logger; Key =:= providers; Key =:= included_applications ->
    {"a list", fun is_list/1};
what_fits(_) ->
    unknown.

is_option({Key, _}) -> is_atom(Key);
is_option(_) -> false.

is_none(Value) -> Value =:= undefined orelse Value =:= nil.

is_at_least(Least, Value) -> is_integer(Value) andalso Value >= Least.

%% Not of atoms, which `file' takes as well.
is_path(Value) ->
    try iolist_size(unicode:characters_to_binary(Value)) > 0
    catch error:_ -> false
    end.
