%% @private
%% Config keys with a default that is used where they make no sense.
-module(systemd_config).

-export([integer/3]).

%% @doc An integer that is no less than the least one. Of anything else the log tells.
-spec integer(Key :: atom(), Least :: integer(), Default :: integer()) -> integer().
integer(Key, Least, Default) ->
    case application:get_env(systemd, Key, Default) of
        Value when is_integer(Value), Value >= Least ->
            Value;
        Invalid ->
            systemd_log:say(
                error,
                "systemd: config key ~ts is ~0tP, which is not an integer of at least ~b; ~b is used",
                [Key, Invalid, 20, Least, Default]
            ),
            Default
    end.
