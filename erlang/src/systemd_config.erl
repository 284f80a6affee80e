%% @private
%% Config keys with a default that is used where they make no sense.
-module(systemd_config).

-export([integer/3, one_of/2]).

%% @doc An integer that is no less than the least one. Of anything else the log tells.
-spec integer(Key :: atom(), Least :: integer(), Default :: integer()) -> integer().
integer(Key, Least, Default) ->
    case application:get_env(systemd, Key, Default) of
        Value when is_integer(Value), Value >= Least -> Value;
        Invalid -> invalid(Key, Invalid, "not an integer of at least ~b", [Least], Default)
    end.

%% @doc One of these, of which the first is the default.
-spec one_of(Key :: atom(), [atom(), ...]) -> atom().
one_of(Key, [Default | _] = Values) ->
    Value = application:get_env(systemd, Key, Default),
    case lists:member(Value, Values) of
        true -> Value;
        false -> invalid(Key, Value, "none of ~0tp", [Values], Default)
    end.

invalid(Key, Value, Reason, Args, Default) ->
    systemd_log:say(
        error,
        "systemd: config key ~ts is ~0tP, which is " ++ Reason ++ "; ~0tp is used",
        [Key, Value, 20] ++ Args ++ [Default]
    ),
    Default.
