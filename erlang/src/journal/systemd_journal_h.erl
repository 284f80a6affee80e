%% @doc A handler of `logger' that sends every event to journald as one entry, by the native protocol: with its level,
%% its source and its metadata as fields that `journalctl FIELD=value' finds, whatever its size and however many lines
%% it has. See systemd-journald.service(8) and systemd.journal-fields(7).
%%
%% ```
%% logger:add_handler(journal, systemd_journal_h, #{
%%     formatter => {logger_formatter, #{template => [msg], single_line => false}},
%%     config => #{metadata => all}
%% }).
%% '''
%%
%% or, with the config key `install_journal' of this application, in the place of the default handler. It needs no
%% running application, so that `kernel' can have it as its default handler too.
%%
%% Without a journal, or without the native library, lines go to standard error, each with its level as `<N>' in
%% front; one line there says why. Adding the handler fails only for an invalid configuration.
%%
%% `MESSAGE=' is what the formatter makes of the event. An event of which it makes an empty text is left out. The
%% formatter above makes the message alone, because time and level have fields of their own; `install_journal',
%% `logger:add_handlers(systemd)' and kernel's default handler have it by themselves. `logger:add_handler/3' without a
%% formatter has the one of `logger', with the time and the level in the message.
%%
%% With an error report of a crash go `CRASH_PROCESS=', `CRASH_REASON=' and `CRASH_STACK='.
%%
%% A value is text where it is a binary in UTF-8, or a list of code points that is not empty, and all of it is
%% printable. Anything else is written as a term, in Elixir's syntax where the event comes from Elixir. A struct is
%% what its `String.Chars' or `Inspect' shows of it, also inside of other terms, and inside of a report or the
%% arguments of a format: what it keeps from being shown is in no field.
%%
%% == Options ==
%% <dl>
%% <dt>`fields'</dt>
%% <dd>See {@link field()}. The default is
%% ```
%% [syslog_timestamp, syslog_pid, syslog_identifier, priority, {"ERL_PID", pid},
%%  {"CODE_FILE", file}, {"CODE_LINE", line}, {"CODE_MFA", mfa}, message_id]
%% '''
%% </dd>
%% <dt>`metadata'</dt>
%% <dd>The event's metadata as fields, on top of `fields'; `request_id' becomes `REQUEST_ID='. A list of keys;
%% `scalars', each key whose value is a number, an atom, a pid, a port, a reference or text, and `mfa', `initial_call'
%% and `domain'; or `all', also maps, tuples, structs and lists. The default is `[]', and `scalars' by
%% `install_journal' and `logger:add_handlers(systemd)'.</dd>
%% <dt>`report_cb'</dt>
%% <dd>`fun((Report) -> [{Name, Value}])', or the same with a prefix for the names before it: fields that a report
%% becomes. `fun maps:to_list/1' makes each key of a map a field.</dd>
%% <dt>`send_timeout'</dt>
%% <dd>How long a caller waits while journald's queue is full, in milliseconds; 1000 by default. Then the line is
%% dropped, and an entry with `N_DROPPED=' tells how many lines were, as soon as the journal takes lines again. A
%% journald that has been there before is waited for as long, once. It is also how long a caller waits for standard
%% error in its place.</dd>
%% <dt>`path'</dt>
%% <dd>Where journald listens: `/run/systemd/journal/socket'.</dd>
%% <dt>The overload keys of `logger_std_h'</dt>
%% <dd>Are accepted. There is no queue here that they could limit.</dd>
%% </dl>
%%
%% Names that come from metadata and reports are made valid: upper-case, `_' for what is no ASCII letter or digit, an
%% `X' in front where the first is no letter, 64 characters at most. A key whose name is taken, such as `priority',
%% gets `X_' in front. In `fields' an invalid name is an error. An entry has at most 960 fields, and 32 MiB, or 768
%% MiB from root: fields that don't fit are left out, and `N_FIELDS_DROPPED=' says how many. A message that doesn't
%% fit is dropped and counted.
%%
%% A formatter or `report_cb' that fails loses nothing: the event is sent with what went wrong in it, and one line on
%% standard error says so.
-module(systemd_journal_h).

-export([adding_handler/1, changing_config/3, removing_handler/1, filter_config/1, log/2]).

-export_type([field/0, report_cb/0, config/0]).
-export_type([field_definition/0, field_name/0, field_value/0]).

-type field() ::
    level | priority | os_pid | mfa | time | script_id | syslog_pid | syslog_timestamp | syslog_identifier
    | (Metakey :: atom())
    | {field_name(), field_value()}.
%% A key of the metadata, under its own name in upper case or under `Name'; the way to it through nested maps; or a
%% literal text. These are special, also as a {@link field_value()}:
%% <ul>
%% <li>`level', `priority': the level by its name, and as the number of syslog(3).</li>
%% <li>`time': of the event, as RFC 3339 has it, in UTC.</li>
%% <li>`os_pid': of the VM.</li>
%% <li>`mfa': the function, as `mod:fun/1', or `Mod.fun/1' of an Elixir module.</li>
%% <li>`script_id': name and version of the boot script, which is the release.</li>
%% <li>`syslog_identifier': the name of the release; without one, of the program.</li>
%% <li>`syslog_pid', `syslog_timestamp': `{"SYSLOG_PID", os_pid}', `{"SYSLOG_TIMESTAMP", time}'.</li>
%% </ul>
%% What is not set, `undefined', `nil' or empty is left out.

-type field_definition() :: field().

-type field_name() :: atom() | unicode:chardata().

-type field_value() :: atom() | [atom(), ...] | unicode:chardata().
%% The source of a field's value, see {@link field()}.

-type report_cb() ::
    fun((logger:report()) -> [{Name :: term(), Value :: term()}])
    | fun((Prefix :: binary(), logger:report()) -> [{Name :: term(), Value :: term()}]).

-type config() :: #{
    fields => [field()],
    metadata => all | scalars | [atom()],
    report_cb => report_cb(),
    send_timeout => non_neg_integer(),
    path => file:name_all(),
    atom() => term()
}.

%% @private
-spec adding_handler(logger:handler_config()) -> {ok, logger:handler_config()} | {error, term()}.
adding_handler(Handler) -> systemd_journal_config:new(Handler).

%% @private
-spec changing_config(set | update, logger:handler_config(), logger:handler_config()) ->
    {ok, logger:handler_config()} | {error, term()}.
changing_config(_, #{config := Old}, #{config := Old} = New) ->
    {ok, New};
changing_config(set, _, New) ->
    systemd_journal_config:new(New);
changing_config(update, #{config := Old}, #{config := Config} = New) ->
    systemd_journal_config:new(New#{config := maps:merge(systemd_journal_config:given(Old), Config)}).

%% @private
-spec removing_handler(logger:handler_config()) -> ok.
removing_handler(#{id := Id}) -> systemd_journal_config:forget(Id).

%% @private
-spec filter_config(logger:handler_config()) -> logger:handler_config().
filter_config(#{config := Config} = Handler) -> Handler#{config := systemd_journal_config:given(Config)}.

%% @private
-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(Event, #{config := Config, formatter := Formatter}) ->
    try
        log(Event, Formatter, Config)
    catch
        _:_ ->
            %% Another copy of the native library may have taken the place of the one that made the sink.
            try
                log(Event, Formatter, systemd_journal_config:current(Config))
            catch
                %% Logger would take the handler away.
                Class:Reason:Stack ->
                    try failed(Class, Reason, Stack, Event, Config)
                    catch _:_ -> ok
                    end
            end
    end.

log(Event, Formatter, Config) ->
    case systemd_elixir:translated(Event) of
        stop ->
            ok;
        Translated ->
            Message = made(systemd_journal_message:format(Translated, Formatter), Config),
            %% By an empty text a formatter leaves an event out.
            _ = string:is_empty(Message) orelse log(Event, Translated, Message, Config),
            ok
    end.

%% What a translator has made a text of has its fields still.
log(#{msg := Untranslated}, Translated, Message, Config) ->
    Report = systemd_journal_fields:report(Translated#{msg := Untranslated}, maps:get(report_cb, Config)),
    send(Translated, Message, made(Report, Config), Config).

made({ok, Made}, _) -> Made;
made({failed, Made, Why}, Config) ->
    complain(Config, Why),
    Made.

send(Event, Message, More, #{sink := none} = Config) ->
    case systemd_nif:loaded() of
        true -> send(Event, Message, More, systemd_journal_config:current(Config));
        false -> to_stderr(Event, Message, nif_not_loaded, Config)
    end;
send(#{level := Level, meta := Meta} = Event, Message, More, Config) ->
    case systemd_journal:send(Config, Level, Meta, Message, More) of
        ok ->
            ok;
        {error, invalid_message} ->
            complain(Config, "the formatter returned no text"),
            send(Event, systemd_journal_message:bad_return(Event), [], Config);
        {error, Reason} when Reason =:= eagain; Reason =:= no_thread; Reason =:= emsgsize; Reason =:= badarg ->
            systemd_journal:drop(Config, Meta, Reason);
        {error, Reason} ->
            say_why_missing(Config, Reason),
            to_stderr(Event, Message, Reason, Config)
    end.

%% Once, until the journal is reached again.
say_why_missing(#{id := Id, sink := Sink, path := Path}, Reason) ->
    _ = systemd_nif:journal_missing(Sink) andalso systemd_log:to_stderr(
        "the log handler ~0tp writes to standard error until journald can be reached at ~ts: ~ts",
        [Id, Path, systemd_reason:posix(Reason)]
    ),
    ok.

to_stderr(#{level := Level, meta := Meta} = Event, Message, Reason, #{send_timeout := Timeout} = Config) ->
    try systemd_journal_stderr:write(Level, Message, Timeout) of
        ok -> ok;
        full -> systemd_journal:drop(Config, Meta, Reason)
    catch
        error:badarg ->
            _ = systemd_journal_stderr:write(Level, systemd_journal_message:bad_return(Event), Timeout),
            ok
    end.

failed(Class, Reason, Stack, #{meta := Meta}, Config) ->
    complain(Config, ["failed: ", systemd_journal_fields:exception(Class, Reason, Stack)]),
    systemd_journal:drop(Config, Meta, einval).

%% Once until the next change of the configuration.
complain(#{id := Id, complained := Complained}, Text) ->
    IsFirst = atomics:exchange(Complained, 1, 1) =:= 0,
    _ = IsFirst andalso systemd_log:to_stderr("logger handler ~0tp: ~ts", [Id, Text]),
    ok.
