%% @private
%% Tells the journal how many lines it missed, as soon as it takes lines again.
-module(systemd_journal_drops).

-export([count/3]).
-export([init/2]).

%% One try waits for this long, in milliseconds, so that what it tells is no older.
-define(TRY, 100).

%% @doc Counts one line that could not be sent. The first one starts a process that ends when it
%% could tell: where nothing is dropped there is none.
-spec count(systemd_journal_config:ready(), logger:metadata(), systemd_journal:reason()) -> ok.
count(#{sink := Sink} = Config, Meta, Reason) ->
    case systemd_nif:journal_drop(Sink, time(Meta)) of
        1 ->
            _ = spawn(?MODULE, init, [Config, Reason]),
            ok;
        _ ->
            ok
    end.

time(#{time := Time}) when is_integer(Time) -> Time;
time(_) -> os:system_time(microsecond).

init(Config, eagain) ->
    tell(Config);
init(Config, Reason) ->
    #{path := Path} = systemd_journal_config:given(Config),
    systemd_log:to_stderr(
        "log lines are dropped, and counted: the journal at ~ts takes none: ~ts (~0tp)",
        [Path, file:format_error(Reason), Reason]
    ),
    tell(Config).

tell(#{sink := Sink} = Config) ->
    {Count, First, Last} = systemd_nif:journal_dropped(Sink),
    case send(Config#{send_timeout := ?TRY}, Count, rfc3339(First), rfc3339(Last)) of
        ok -> systemd_nif:journal_told(Sink, Count, Last) =:= 0 orelse tell(Config);
        {error, Reason} -> retry(Config, Count, Reason)
    end.

send(Config, Count, From, To) ->
    Message = io_lib:format(
        "systemd: ~b log lines from ~ts to ~ts were dropped, because the journal did not take them",
        [Count, From, To]
    ),
    Meta = #{time => os:system_time(microsecond), pid => self()},
    systemd_journal:send(Config, warning, Meta, Message, [
        {<<"N_DROPPED">>, integer_to_binary(Count)},
        {<<"DROPPED_FROM">>, From},
        {<<"DROPPED_TO">>, To}
    ]).

retry(#{id := Id} = Config, Count, Reason) ->
    case logger:get_handler_config(Id) of
        {ok, _} ->
            _ = Reason =:= eagain orelse timer:sleep(?TRY),
            tell(Config);
        {error, _} ->
            #{path := Path} = systemd_journal_config:given(Config),
            systemd_log:to_stderr(
                "~b log lines were dropped, because the journal at ~ts did not take them", [Count, Path]
            )
    end.

rfc3339(Time) ->
    list_to_binary(calendar:system_time_to_rfc3339(Time, [{unit, microsecond}, {offset, "Z"}])).
