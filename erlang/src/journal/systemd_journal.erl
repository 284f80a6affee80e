%% @private
%% Sends entries from any process to journald, with no process in between. Counts the lines that journald has missed,
%% and sends the count when journald accepts entries again.
-module(systemd_journal).

-export([send/5, drop/3, report_drops/2]).

-export_type([more/0, reason/0]).

-type more() :: [{Name :: binary(), Value :: binary()}].
-type reason() :: nif_not_loaded | invalid_message | badarg | no_thread | file:posix().

%% The time between two attempts, in milliseconds.
-define(RETRY, 100).

%% @doc Sends one entry, and waits for journald for up to `send_timeout'.
-spec send(systemd_journal_config:ready(), logger:level(), logger:metadata(), Message :: unicode:chardata(), more()) ->
    ok | {error, reason()}.
send(Config, Level, Meta, Message, More) ->
    log(fun systemd_nif:journal_log/4, Config, {Level, Meta, Message, More}, []).

log(Log, #{sink := Sink, send_timeout := Timeout} = Config, {_, Meta, _, _} = Event, Texts) ->
    case systemd_wait:reply(Log(Sink, Event, Texts, Timeout)) of
        {format, Paths} -> log(Log, Config, Event, texts(Paths, Meta));
        again -> log(fun systemd_nif:journal_log_large/4, Config, Event, Texts);
        Result -> Result
    end.

texts(Paths, Meta) ->
    Language = systemd_journal_fields:language(Meta),
    [systemd_journal_fields:text(lists:foldl(fun maps:get/2, Meta, Path), Language) || Path <- Paths].

%% @doc Counts a line that could not be sent. If no process reports the count yet, starts one, which then ends.
-spec drop(systemd_journal_config:ready(), logger:metadata(), reason()) -> ok.
drop(#{sink := none}, _, _) ->
    ok;
drop(#{sink := Sink} = Config, Meta, Reason) ->
    _ = systemd_nif:journal_drop(Sink, maps:get(time, Meta, os:system_time(microsecond))) andalso
        try spawn(?MODULE, report_drops, [Config, Reason])
        %% The VM has no room for another process. The next dropped line tries again.
        catch error:system_limit -> not_reported
        end,
    ok.

-spec report_drops(systemd_journal_config:ready(), reason()) -> term().
report_drops(#{sink := Sink, path := Path} = Config, Reason) ->
    case systemd_nif:journal_teller(Sink) of
        true ->
            %% If journald's socket buffer is full, the entry with the count is enough.
            _ = Reason =:= eagain orelse systemd_log:to_stderr(
                "cannot write to journald at ~ts: ~ts. Log lines are dropped and counted",
                [Path, systemd_reason:posix(Reason)]
            ),
            %% Another copy of the native library has replaced the one that kept the count, so the count is lost.
            try report_drops(Config)
            catch error:badarg -> ok
            end;
        false ->
            ok
    end.

report_drops(#{sink := Sink} = Config) ->
    {Count, Last, From, To} = systemd_nif:journal_dropped(Sink),
    case send_count(Config, Count, From, To) of
        ok -> systemd_nif:journal_told(Sink, Count, Last) =:= 0 orelse report_drops(Config);
        {error, _} -> retry(Config, Count)
    end.

send_count(Config, Count, From, To) ->
    Message = io_lib:format(
        "systemd: ~b log lines from ~ts to ~ts were dropped, because journald did not read them", [Count, From, To]
    ),
    More = [{<<"N_DROPPED">>, integer_to_binary(Count)}, {<<"DROPPED_FROM">>, From}, {<<"DROPPED_TO">>, To}],
    send(Config, warning, #{time => os:system_time(microsecond), pid => self()}, Message, More).

%% Stops if the handler was removed, or has another path now.
retry(#{id := Id, path := Path} = Config, Count) ->
    case systemd_journal_config:path(Id) of
        Path ->
            timer:sleep(?RETRY),
            report_drops(Config);
        _ ->
            systemd_log:to_stderr(
                "~b log lines were dropped, because journald at ~ts did not read them", [Count, Path]
            )
    end.
