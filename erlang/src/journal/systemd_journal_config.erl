%% @private
%% The configuration of `systemd_journal_h', checked and made ready for use.
-module(systemd_journal_config).

-export([new/1, message_only/0, given/1, path/1, current/1, info/0, forget/1]).

-export_type([ready/0]).

-type ready() :: #{
    id := logger:handler_id(),
    %% None without the native library.
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

%% Of `logger_std_h': there is no queue here that they could limit.
-define(OVERLOAD, [
    sync_mode_qlen, drop_mode_qlen, flush_qlen, burst_limit_enable, burst_limit_max_count, burst_limit_window_time,
    overload_kill_enable, overload_kill_qlen, overload_kill_mem_size, overload_kill_restart_after
]).

%% @doc A handler with what it takes to send in the place of its configuration. That is copied at every log call, and
%% so is small: what the user gave is kept apart.
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

%% A socket that the handler has already is kept while the path is the same.
open(Id, #{path := Path, fields := Fields, metadata := Metadata} = Config) ->
    Sources = [field(Field) || Field <- Fields],
    Native = native(Path),
    fits(Native) orelse throw({path, Path, enametoolong}),
    {Before, Old} = kept(Id),
    Sink =
        try systemd_nif:loaded() andalso systemd_nif:journal_sink(Native, Sources, Metadata, Old) of
            {ok, New} -> New;
            {error, Reason} -> throw({path, Path, Reason});
            false -> without_library(Id, Before)
        catch
            %% An entry has 960 fields at most.
            error:badarg -> throw({fields, length(Fields), too_many})
        end,
    persistent_term:put({?MODULE, Id}, {Config, Sink}),
    Sink.

%% Said once, when the handler is added.
without_library(Id, Before) ->
    _ = Before =:= #{} andalso systemd_log:to_stderr(
        "the log handler ~0tp writes to standard error: the native library is not loaded: ~ts",
        [Id, systemd_nif:load_error()]
    ),
    none.

%% @doc What the user gave, and the defaults.
-spec given(ready()) -> systemd_journal_h:config().
given(#{id := Id}) -> element(1, kept(Id)).

%% @doc Of the journal that the handler sends to; `undefined' where there is no such handler.
-spec path(logger:handler_id()) -> binary() | undefined.
path(Id) ->
    case kept(Id) of
        {#{path := Path}, _} -> native(Path);
        {#{}, none} -> undefined
    end.

kept(Id) -> persistent_term:get({?MODULE, Id}, {#{}, none}).

-spec forget(logger:handler_id()) -> ok.
forget(Id) ->
    _ = persistent_term:erase({?MODULE, Id}),
    ok.

%% @doc With a sink of the native library's present copy, when it has taken the place of the one that made this sink.
%% The handler's configuration, which the caller has a copy of, follows.
-spec current(ready()) -> ready().
current(#{id := Id, sink := Sink} = Ready) -> Ready#{sink := current(Id, Sink)}.

current(Id, Sink) ->
    case {is_current(Sink), kept(Id)} of
        {true, _} ->
            Sink;
        {false, {Config, Sink}} ->
            New = open(Id, Config),
            _ = spawn(fun() -> follow(Id) end),
            New;
        {false, {_, New}} ->
            New
    end.

is_current(Sink) ->
    try is_tuple(systemd_nif:journal_dropped(Sink))
    catch error:badarg -> false
    end.

follow(Id) ->
    case kept(Id) of
        {_, none} -> ok;
        {Config, _} -> logger:set_handler_config(Id, config, Config)
    end.

%% @doc Of each handler of ours.
-spec info() -> #{logger:handler_id() => map()}.
info() ->
    maps:from_list([
        {Id, info(Id, native(Path), Sink)}
     || Id <- logger:get_handler_ids(), {#{path := Path}, Sink} <- [kept(Id)]
    ]).

info(Id, Path, Sink) ->
    {IsReachable, Sent, Dropped} =
        try systemd_nif:journal_info(current(Id, Sink))
        catch _:_ -> {false, 0, 0}
        end,
    #{path => Path, reachable => IsReachable, sent => Sent, dropped => Dropped}.

%% Kernel gives its default handler this one, where the configuration has none.
formatter(#{formatter := {logger_formatter, #{legacy_header := true, single_line := false} = Config}} = Handler) when
    map_size(Config) =:= 2
->
    Handler#{formatter := message_only()};
formatter(Handler) -> Handler.

%% @doc A formatter. The time and the level have fields of their own.
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

%% Into a sockaddr_un, see unix(7).
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

%% As the native library takes it, which may be missing.
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

%% Outside of a release: the program's name, as systemd would have it.
identifier({"Erlang/OTP", _}) -> program();
identifier({"OTP  APN " ++ _, _}) -> program();
identifier({Release, _}) -> Release.

program() ->
    case init:get_argument(progname) of
        {ok, [[Name | _] | _]} -> filename:basename(Name);
        _ -> "beam.smp"
    end.
