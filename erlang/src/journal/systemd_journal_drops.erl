%% @private
%% Tells the journal how many lines it missed, as soon as it takes lines again.
-module(systemd_journal_drops).

-export([count/3]).
-export([init/2]).

%% Between two tries, in milliseconds.
-define(RETRY, 100).

%% @doc Counts one line that could not be sent. Where nobody tells of such lines yet, a process is
%% started that does, and then ends.
-spec count(systemd_journal_config:ready(), logger:metadata(), systemd_journal:reason()) -> ok.
count(#{sink := none}, _, _) ->
    ok;
count(#{sink := Sink} = Config, Meta, Reason) ->
    case systemd_nif:journal_drop(Sink, maps:get(time, Meta, os:system_time(microsecond))) of
        true ->
            %% There may be no room for a process: the next one that is dropped tries again.
            _ = catch spawn(?MODULE, init, [Config, Reason]),
            ok;
        false ->
            ok
    end.

init(#{sink := Sink, path := Path} = Config, Reason) ->
    case systemd_nif:journal_teller(Sink) of
        true ->
            %% A full queue is told of by the journal itself.
            _ = Reason =:= eagain orelse
                systemd_log:to_stderr(
                    "log lines are dropped, and counted: the journal at ~ts does not take them: ~ts",
                    [Path, systemd_reason:posix(Reason)]
                ),
            %% The count is gone with the copy of the native library that kept it.
            try tell(Config)
            catch error:badarg -> ok
            end;
        false ->
            ok
    end.

tell(#{sink := Sink} = Config) ->
    {Count, Last, From, To} = systemd_nif:journal_dropped(Sink),
    case send(Config, Count, From, To) of
        ok -> systemd_nif:journal_told(Sink, Count, Last) =:= 0 orelse tell(Config);
        {error, _} -> retry(Config, Count)
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

%% Nobody waits for a journal that the handler has left.
retry(#{id := Id, path := Path} = Config, Count) ->
    case systemd_journal_config:path(Id) of
        Path ->
            timer:sleep(?RETRY),
            tell(Config);
        _ ->
            systemd_log:to_stderr(
                "~b log lines were dropped, because the journal at ~ts did not take them", [Count, Path]
            )
    end.
