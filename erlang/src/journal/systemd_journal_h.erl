%% @doc A handler of `logger' that sends each event to journald as one entry, by the native protocol. An event can have
%% any size and any number of lines. Its level, source and metadata become fields, which `journalctl FIELD=value' finds.
%% See systemd-journald.service(8) and systemd.journal-fields(7).
%%
%% ```
%% logger:add_handler(journal, systemd_journal_h, #{
%%     formatter => {logger_formatter, #{template => [msg], single_line => false}},
%%     config => #{metadata => all}
%% }).
%% '''
%%
%% If standard output or standard error is the journal, the config key `install_journal' of this application replaces
%% the default handler by this one. The handler also works while the application is not running, so that you can
%% configure it as the default handler of `kernel'.
%%
%% While journald can't be reached, or without the native library, lines go to standard error, each with its level as
%% the prefix `<N>'. One line there says why. Adding the handler fails only if its configuration is invalid.
%%
%% `MESSAGE=' is the text that the formatter returns. If the text is empty, the event is not sent. The formatter above
%% returns only the message, because time and level are fields. It is the default of `install_journal',
%% `logger:add_handlers(systemd)' and kernel's default handler. The default of `logger:add_handler/3' is the formatter
%% of `logger', which puts time and level into the message.
%%
%% The error report of a crash also has the fields `CRASH_PROCESS=', `CRASH_REASON=' and `CRASH_STACK='.
%%
%% A value is written as text if it is a binary in UTF-8 or a list of code points that is not empty, and if all of it is
%% printable. Any other value is written as a term, in Elixir's syntax if the event comes from Elixir. A struct is
%% written by its `String.Chars' or `Inspect', also inside of other terms, of a report and of the arguments of a format.
%% What its `Inspect' hides is in no field.
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
%% <dd>The metadata of the event that become fields, in addition to `fields'; `request_id' becomes `REQUEST_ID='. Either
%% a list of keys, or `scalars', or `all'. `scalars' means each key whose value is a number, an atom, a pid, a port, a
%% reference or text, and `mfa', `initial_call' and `domain'. `all' also means maps, tuples, structs and lists. The
%% default is `[]'; that of `install_journal' and `logger:add_handlers(systemd)' is `scalars'.</dd>
%% <dt>`report_cb'</dt>
%% <dd>`fun((Report) -> [{Name, Value}])', which returns fields for a report. A fun with two arguments gets a prefix for
%% the names as the first one. With `fun maps:to_list/1', each key of a map becomes a field.</dd>
%% <dt>`send_timeout'</dt>
%% <dd>How long a caller waits while journald's socket buffer is full, in milliseconds; 1000 by default. Then the line
%% is dropped. When journald accepts entries again, an entry with `N_DROPPED=' says how many lines were dropped. If
%% journald was reachable before, callers wait for its return for this long, once. While lines go to standard error, a
%% caller also waits for standard error for this long.</dd>
%% <dt>`path'</dt>
%% <dd>The socket of journald, by default `/run/systemd/journal/socket'.</dd>
%% <dt>The overload keys of `logger_std_h'</dt>
%% <dd>The handler accepts and ignores them, because it has no queue that they could limit.</dd>
%% </dl>
%%
%% Names that come from metadata and reports are made valid. Letters become upper case. What is not an ASCII letter or
%% digit becomes `_'. A name that does not begin with a letter gets the prefix `X'. A name has at most 64 characters. A
%% key whose name is taken, such as `priority', gets the prefix `X_'. In `fields', an invalid name is an error.
%%
%% An entry has at most 960 fields, and 32 MiB, or 768 MiB if the VM runs as root. Fields that don't fit are left out,
%% and `N_FIELDS_DROPPED=' says how many. A message that doesn't fit is dropped and counted.
%%
%% If a formatter or `report_cb' fails, the event is sent with the error in it, and one line on standard error reports
%% the failure.
-module(systemd_journal_h).

-export([adding_handler/1, changing_config/3, removing_handler/1, filter_config/1, log/2]).

-export_type([field/0, report_cb/0, config/0]).
-export_type([field_definition/0, field_name/0, field_value/0]).

-type field() ::
    level | priority | os_pid | mfa | time | script_id | syslog_pid | syslog_timestamp | syslog_identifier
    | (Metakey :: atom())
    | {field_name(), field_value()}.
%% A key of the metadata, which becomes a field with the key's name in upper case, or `{Name, Source}'. A source is a
%% key of the metadata, a list of keys that leads through nested maps, or a literal text. These keys are special, also
%% as a {@link field_value()}:
%% <ul>
%% <li>`level', `priority': the level by its name, and by its number in syslog(3).</li>
%% <li>`time': the time of the event in UTC, in the format of RFC 3339.</li>
%% <li>`os_pid': the PID of the VM.</li>
%% <li>`mfa': the function, as `mod:fun/1', or `Mod.fun/1' of an Elixir module.</li>
%% <li>`script_id': the name and version of the boot script, which are those of the release.</li>
%% <li>`syslog_identifier': the name of the release. Outside of a release, the name of the program.</li>
%% <li>`syslog_pid', `syslog_timestamp': `{"SYSLOG_PID", os_pid}', `{"SYSLOG_TIMESTAMP", time}'.</li>
%% </ul>
%% A field whose value is missing, `undefined', `nil' or empty is left out.

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
    systemd_journal_config:new(New#{config := maps:merge(systemd_journal_config:user_config(Old), Config)}).

%% @private
-spec removing_handler(logger:handler_config()) -> ok.
removing_handler(#{id := Id}) -> systemd_journal_config:forget(Id).

%% @private
-spec filter_config(logger:handler_config()) -> logger:handler_config().
filter_config(#{config := Config} = Handler) -> Handler#{config := systemd_journal_config:user_config(Config)}.

%% @private
-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(Event, #{config := Config, formatter := Formatter}) ->
    try
        log(Event, Formatter, Config)
    catch
        _:_ ->
            %% Another copy of the native library may have replaced the one that made the sink.
            try
                log(Event, Formatter, systemd_journal_config:current(Config))
            catch
                %% Logger removes a handler that crashes.
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
            Message = unwrap(systemd_journal_message:format(Translated, Formatter), Config),
            %% A formatter drops an event by returning an empty text.
            _ = string:is_empty(Message) orelse log(Event, Translated, Message, Config),
            ok
    end.

%% The fields come from the original report, even if a translator has made it a text.
log(#{msg := Untranslated}, Translated, Message, Config) ->
    Report = systemd_journal_fields:report(Translated#{msg := Untranslated}, maps:get(report_cb, Config)),
    send(Translated, Message, unwrap(Report, Config), Config).

unwrap({ok, Made}, _) -> Made;
unwrap({failed, Made, Why}, Config) ->
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
            report_unreachable(Config, Reason),
            to_stderr(Event, Message, Reason, Config)
    end.

%% Once, until journald is reached again.
report_unreachable(#{id := Id, sink := Sink, path := Path}, Reason) ->
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

%% Once, until the configuration changes.
complain(#{id := Id, complained := Complained}, Text) ->
    IsFirst = atomics:exchange(Complained, 1, 1) =:= 0,
    _ = IsFirst andalso systemd_log:to_stderr("logger handler ~0tp: ~ts", [Id, Text]),
    ok.
