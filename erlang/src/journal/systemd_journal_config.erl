%% @private
%% Checks the configuration of `systemd_journal_h', and prepares it for use.
-module(systemd_journal_config).

-export([new/1, message_only/0, user_config/1, path/1, current/1, info/0, forget/1]).

-export_type([ready/0]).

-type ready() :: #{
    id := logger:handler_id(),
    %% `none' if the native library is not loaded.
    sink := systemd_nif:sink() | none,
    path := binary(),
    send_timeout := non_neg_integer(),
    report_cb := systemd_journal_h:report_cb() | undefined,
    complained := atomics:atomics_ref()
}.

-define(DEFAULTS, #{
    fields => [
        syslog_timestamp, syslog_pid, syslog_identifier, priority, {"ERL_PID", pid}, {"CODE_FILE", file},
        {"CODE_LINE", line}, {"CODE_MFA", mfa}, message_id
    ],
    metadata => [],
    path => "/run/systemd/journal/socket",
    send_timeout => 1000
}).

%% Keys of `logger_std_h' that limit its queue. This handler has no queue, so it ignores them.
-define(OVERLOAD, [
    sync_mode_qlen, drop_mode_qlen, flush_qlen, burst_limit_enable, burst_limit_max_count, burst_limit_window_time,
    overload_kill_enable, overload_kill_qlen, overload_kill_mem_size, overload_kill_restart_after
]).

%% @doc Replaces a handler's configuration by what sending needs. Logger copies it at every log call, so it is small,
%% and what the user has configured is kept elsewhere.
-spec new(logger:handler_config()) -> {ok, logger:handler_config()} | {error, term()}.
new(#{id := Id} = Handler) ->
    try
        Given = maps:get(config, Handler, #{}),
        is_map(Given) orelse throw({config, Given}),
        maps:foreach(fun check/2, Given),
        #{path := Path, send_timeout := Timeout} = Config = maps:merge(?DEFAULTS, Given),
        Ready = #{
            id => Id,
            sink => open(Id, Config),
            path => native(Path),
            send_timeout => Timeout,
            report_cb => maps:get(report_cb, Config, undefined),
            complained => atomics:new(1, [])
        },
        {ok, (formatter(Handler))#{config => Ready}}
    catch
        throw:{Key, Value} -> {error, {invalid_config, systemd_journal_h, #{Key => Value}}};
        throw:{Key, Value, Reason} -> {error, {invalid_config, systemd_journal_h, #{Key => Value}, Reason}}
    end.

%% While the path stays the same, the handler keeps its socket.
open(Id, #{path := Path, fields := Fields, metadata := Metadata} = Config) ->
    Sources = [field(Field) || Field <- Fields],
    Native = native(Path),
    fits(Native) orelse throw({path, Path, enametoolong}),
    {Before, Old} = stored(Id),
    Sink =
        try systemd_nif:loaded() andalso systemd_nif:journal_sink(Native, Sources, Metadata, Old) of
            {ok, New} -> New;
            {error, Reason} -> throw({path, Path, Reason});
            false -> without_library(Id, Before)
        catch
            %% An entry can't have more than 960 fields.
            error:badarg -> throw({fields, length(Fields), too_many})
        end,
    persistent_term:put({?MODULE, Id}, {Config, Sink}),
    Sink.

%% Written once, when the handler is added.
without_library(Id, Before) ->
    _ = Before =:= #{} andalso systemd_log:to_stderr(
        "the log handler ~0tp writes to standard error: the native library is not loaded: ~ts",
        [Id, systemd_nif:load_error()]
    ),
    none.

%% @doc What the user has configured, merged with the defaults.
-spec user_config(ready()) -> systemd_journal_h:config().
user_config(#{id := Id}) -> element(1, stored(Id)).

%% @doc The path of the journal that the handler sends to, or `undefined' if there is no such handler.
-spec path(logger:handler_id()) -> binary() | undefined.
path(Id) ->
    case stored(Id) of
        {#{path := Path}, _} -> native(Path);
        {#{}, none} -> undefined
    end.

stored(Id) -> persistent_term:get({?MODULE, Id}, {#{}, none}).

-spec forget(logger:handler_id()) -> ok.
forget(Id) ->
    _ = persistent_term:erase({?MODULE, Id}),
    ok.

%% @doc Replaces a sink that another copy of the native library has made. Also updates the handler's configuration, of
%% which the caller has a copy.
-spec current(ready()) -> ready().
current(#{id := Id, sink := Sink} = Ready) -> Ready#{sink := current(Id, Sink)}.

current(Id, Sink) ->
    case {is_current(Sink), stored(Id)} of
        {true, _} ->
            Sink;
        {false, {Config, Sink}} ->
            New = open(Id, Config),
            _ = spawn(fun() -> update_handler(Id) end),
            New;
        {false, {_, New}} ->
            New
    end.

is_current(Sink) ->
    try is_tuple(systemd_nif:journal_dropped(Sink))
    catch error:badarg -> false
    end.

update_handler(Id) ->
    case stored(Id) of
        {_, none} -> ok;
        {Config, _} -> logger:set_handler_config(Id, config, Config)
    end.

-spec info() -> #{logger:handler_id() => map()}.
info() ->
    maps:from_list([
        {Id, info(Id, native(Path), Sink)}
     || Id <- logger:get_handler_ids(), {#{path := Path}, Sink} <- [stored(Id)]
    ]).

info(Id, Path, Sink) ->
    {IsReachable, Sent, Dropped} =
        try systemd_nif:journal_info(current(Id, Sink))
        catch _:_ -> {false, 0, 0}
        end,
    #{path => Path, reachable => IsReachable, sent => Sent, dropped => Dropped}.

%% kernel gives its default handler this formatter if none is configured.
formatter(#{formatter := {logger_formatter, #{legacy_header := true, single_line := false} = Config}} = Handler) when
    map_size(Config) =:= 2
->
    Handler#{formatter := message_only()};
formatter(Handler) -> Handler.

%% @doc A formatter that writes only the message, because time and level are fields.
-spec message_only() -> {module(), logger:formatter_config()}.
message_only() -> {logger_formatter, #{template => [msg], single_line => false}}.

check(fields, Fields) when length(Fields) >= 0 -> ok;
check(metadata, Which) when Which =:= all; Which =:= scalars -> ok;
check(metadata, Keys) when length(Keys) >= 0 -> lists:all(fun is_atom/1, Keys) orelse throw({metadata, Keys});
check(report_cb, Callback) when is_function(Callback, 1); is_function(Callback, 2) -> ok;
check(path, Path) when is_list(Path); is_binary(Path) -> ok;
check(send_timeout, Millis) when is_integer(Millis), Millis >= 0, Millis < 1 bsl 32 -> ok;
check(Key, Value) -> lists:member(Key, ?OVERLOAD) orelse throw({Key, Value}).

native(Path) ->
    try <<_/binary>> = unicode:characters_to_binary(Path, unicode, file:native_name_encoding())
    catch error:_ -> throw({path, Path})
    end.

%% Whether the path fits into a sockaddr_un, see unix(7).
fits(Path) -> byte_size(Path) < 108 andalso binary:match(Path, <<0>>) =:= nomatch.

field(syslog_pid) -> field({"SYSLOG_PID", os_pid});
field(syslog_timestamp) -> field({"SYSLOG_TIMESTAMP", time});
field(Key) when is_atom(Key) -> field({atom_to_list(Key), Key});
field(Field) ->
    try
        {Given, Source} = Field,
        Name = text(Given),
        is_valid(Name) orelse throw({fields, Field, invalid_field_name}),
        {Name, source(Source)}
    catch
        error:_ -> throw({fields, Field})
    end.

%% The rule of the native library, which may be missing.
is_valid(Name) -> re:run(Name, "^(?!(?i:message)$)[a-zA-Z][a-zA-Z0-9_]{0,63}$", [dollar_endonly]) =/= nomatch.

source(Special) when Special =:= level; Special =:= priority; Special =:= time -> Special;
source(os_pid) -> {literal, list_to_binary(os:getpid())};
source(syslog_identifier) -> {literal, text(identifier(init:script_id()))};
source(script_id) -> {literal, text(lists:join($\s, tuple_to_list(init:script_id())))};
source(Key) when is_atom(Key) -> [Key];
source([Key | _] = Path) when is_atom(Key) -> true = lists:all(fun is_atom/1, Path), Path;
source(Literal) -> {literal, text(Literal)}.

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Text) ->
    case unicode:characters_to_binary(Text) of
        Valid when is_binary(Valid) -> Valid;
        _ -> iolist_to_binary(Text)
    end.

%% Outside of a release: the program's name, as systemd would use it.
identifier({"Erlang/OTP", _}) -> program();
identifier({"OTP  APN " ++ _, _}) -> program();
identifier({Release, _}) -> Release.

program() ->
    case init:get_argument(progname) of
        {ok, [[Name | _] | _]} -> filename:basename(Name);
        _ -> "beam.smp"
    end.
