%% @private
%% The way from any process to journald, with no process in between.
-module(systemd_journal).

-export([send/5]).

-export_type([more/0, reason/0]).

-type more() :: [{Name :: binary(), Value :: binary()}].
-type reason() :: invalid_message | badarg | no_thread | file:posix().

%% @doc Sends one entry, and waits for journald up to its `send_timeout'.
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
    Language = systemd_journal_value:language(Meta),
    [systemd_journal_value:text(lists:foldl(fun maps:get/2, Meta, Path), Language) || Path <- Paths].
