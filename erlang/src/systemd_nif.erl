%% @private
%% The functions of native/systemd_nif. Loading this module never fails, so that a release boots
%% without the library and on systems that it isn't built for: see {@link loaded/0}.
%%
%% A new version may be loaded while the VM runs. What a former copy of the library has made is `badarg'
%% to a new copy; whoever keeps such a thing opens it anew then.
-module(systemd_nif).

-export([
    loaded/0,
    initial_env/1,
    parent/0,
    open/2,
    notify/2,
    notify_wait/3,
    has_announced/2,
    notify_failed/1,
    notifier_info/1,
    barrier/2,
    barrier_reached/1,
    watchdog_usec/2,
    watchdog_start/5,
    watchdog_take_up/3,
    watchdog_checking/3,
    watchdog_answer/3,
    watchdog_enable/1,
    watchdog_disable/1,
    watchdog_stop/1,
    extend_start/2,
    extend_stop/1,
    memory_pressure_start/2,
    memory_pressure_done/1,
    journal_open/1,
    journal_sink/3,
    journal_of/1,
    journal_missing/1,
    journal_log/6,
    journal_join/1,
    journal_leave/1,
    journal_log_wait/7,
    journal_drop/2,
    journal_teller/1,
    journal_dropped/1,
    journal_told/3,
    journal_info/1,
    is_journal/2,
    listen_fds/3,
    socket_info/1,
    hand_out/1,
    fd_name/1,
    hold/1,
    let_go/1,
    store_fds/5,
    clear_fds/3,
    hold_term/2,
    store_term/3,
    fetch_term/1,
    dirty_cpu/0,
    dirty_io/0,
    load_error/0
]).

-export_type([notifier/0, barrier/0, watchdog/0, extension/0, memory_pressure/0, journal/0]).
-export_type([sink/0, ticket/0, source/0, held/0]).

-on_load(load/0).

-type notifier() :: reference().
-type barrier() :: reference().
-type watchdog() :: reference().
-type extension() :: reference().
-type memory_pressure() :: reference().
-type journal() :: reference().
-type sink() :: reference().
-type ticket() :: reference().
-type held() :: reference().
-type source() :: level | priority | time | {literal, binary()} | [Metakey :: atom()].

-type variable() :: binary() | false.

-define(NOT_LOADED, erlang:nif_error(nif_not_loaded)).

load() ->
    case erlang:load_nif(priv_dir() ++ another_spelling() ++ "/systemd_nif", 0) of
        ok ->
            persistent_term:put(?MODULE, loaded);
        {error, {_, Text}} ->
            %% The version that is there before goes on after an error.
            case loaded() of
                true -> {error, Text};
                false -> persistent_term:put(?MODULE, Text)
            end
    end.

%% The dynamic linker takes a path that it has opened before for the same file, also when a build has put
%% another one there.
another_spelling() ->
    Loads = persistent_term:get({?MODULE, loads}, 0),
    persistent_term:put({?MODULE, loads}, Loads + 1),
    lists:append(lists:duplicate(Loads, "/.")).

priv_dir() ->
    case code:priv_dir(systemd) of
        {error, bad_name} -> filename:join(filename:dirname(code:which(?MODULE)), "../priv");
        Dir -> Dir
    end.

%% @doc Why the library is not loaded.
-spec load_error() -> string().
load_error() ->
    case persistent_term:get(?MODULE, loaded) of
        loaded -> "";
        Text -> Text
    end.

-spec loaded() -> boolean().
loaded() -> persistent_term:get(?MODULE, not_loaded) =:= loaded.

-spec initial_env(Name :: binary()) -> binary() | false.
initial_env(_) -> ?NOT_LOADED.

-spec parent() -> non_neg_integer().
parent() -> ?NOT_LOADED.

-spec open(NotifySocket :: binary(), Anew :: boolean()) ->
    {ok, notifier()} | {error, systemd:reason()}.
open(_, _) -> ?NOT_LOADED.

-spec notify(notifier(), term()) -> ok | again | {error, systemd:reason()}.
notify(_, _) -> ?NOT_LOADED.

-spec notify_wait(notifier(), term(), Millis :: non_neg_integer()) ->
    ok | busy | {error, systemd:reason()}.
notify_wait(_, _, _) -> ?NOT_LOADED.

-spec has_announced(notifier(), systemd_notify:announcement()) -> boolean().
has_announced(_, _) -> ?NOT_LOADED.

-spec notify_failed(notifier()) -> ok.
notify_failed(_) -> ?NOT_LOADED.

-spec notifier_info(notifier()) ->
    {Sent :: non_neg_integer(), Failed :: non_neg_integer(), LastStatus :: binary() | false}.
notifier_info(_) -> ?NOT_LOADED.

-spec barrier(notifier(), Millis :: non_neg_integer()) ->
    {ok, barrier()} | busy | {error, systemd:reason()}.
barrier(_, _) -> ?NOT_LOADED.

-spec barrier_reached(barrier()) -> boolean() | {error, systemd:reason()}.
barrier_reached(_) -> ?NOT_LOADED.

-spec watchdog_usec(Usec :: binary() | false, Pid :: binary() | false) ->
    {ok, pos_integer()} | undefined | {error, {invalid_value, binary()}}.
watchdog_usec(_, _) -> ?NOT_LOADED.

-spec watchdog_start(
    notifier(),
    TimeoutUsec :: pos_integer(),
    IntervalUsec :: pos_integer(),
    WarnAfterUsec :: pos_integer(),
    OnHang :: withhold | trigger | abort
) -> {ok, watchdog()} | {error, systemd:reason()}.
watchdog_start(_, _, _, _, _) -> ?NOT_LOADED.

-spec watchdog_take_up(watchdog(), Tick :: pos_integer(), RunQueues :: [non_neg_integer()]) -> ok.
watchdog_take_up(_, _, _) -> ?NOT_LOADED.

-spec watchdog_checking(watchdog(), Tick :: non_neg_integer(), What :: unicode:unicode_binary()) -> ok.
watchdog_checking(_, _, _) -> ?NOT_LOADED.

-spec watchdog_answer(
    watchdog(), Tick :: pos_integer(), Well :: boolean() | Failed :: unicode:unicode_binary()
) -> ok.
watchdog_answer(_, _, _) -> ?NOT_LOADED.

-spec watchdog_enable(watchdog()) -> ok.
watchdog_enable(_) -> ?NOT_LOADED.

-spec watchdog_disable(watchdog()) -> ok.
watchdog_disable(_) -> ?NOT_LOADED.

-spec watchdog_stop(watchdog()) -> ok.
watchdog_stop(_) -> ?NOT_LOADED.

-spec extend_start(notifier(), LimitMillis :: pos_integer()) ->
    {ok, extension()} | {error, systemd:reason()}.
extend_start(_, _) -> ?NOT_LOADED.

-spec extend_stop(extension()) -> ok.
extend_stop(_) -> ?NOT_LOADED.

-spec memory_pressure_start(Path :: binary(), Data :: binary()) ->
    {ok, memory_pressure()} | {error, file:posix()}.
memory_pressure_start(_, _) -> ?NOT_LOADED.

-spec memory_pressure_done(memory_pressure()) -> ok.
memory_pressure_done(_) -> ?NOT_LOADED.

-spec journal_open(Path :: binary()) -> {ok, journal()} | {error, file:posix()}.
journal_open(_) -> ?NOT_LOADED.

-spec journal_sink(journal(), [{Name :: binary(), source()}], Metadata :: all | scalars | [atom()]) ->
    {ok, sink()} | {error, {invalid_field_name | invalid_fields, term()}}.
journal_sink(_, _, _) -> ?NOT_LOADED.

-spec journal_of(sink()) -> journal().
journal_of(_) -> ?NOT_LOADED.

-spec journal_missing(sink()) -> IsNews :: boolean().
journal_missing(_) -> ?NOT_LOADED.

-spec journal_log(
    sink(),
    logger:level(),
    logger:metadata(),
    Message :: unicode:chardata(),
    More :: [{Name :: binary(), Value :: binary()}],
    Texts :: [binary()]
) -> ok | again | {format, [Path :: [term()]]} | {error, invalid_message | badarg | file:posix()}.
journal_log(_, _, _, _, _, _) -> ?NOT_LOADED.

-spec journal_join(sink()) -> {ticket(), Number :: non_neg_integer(), First :: boolean()}.
journal_join(_) -> ?NOT_LOADED.

-spec journal_leave(ticket()) -> ok.
journal_leave(_) -> ?NOT_LOADED.

-spec journal_log_wait(
    sink(),
    logger:level(),
    logger:metadata(),
    Message :: unicode:chardata(),
    More :: [{Name :: binary(), Value :: binary()}],
    Texts :: [binary()],
    Millis :: non_neg_integer()
) -> ok | {format, [Path :: [term()]]} | {error, invalid_message | badarg | file:posix()}.
journal_log_wait(_, _, _, _, _, _, _) -> ?NOT_LOADED.

-spec journal_drop(sink(), Time :: term()) -> NobodyTells :: boolean().
journal_drop(_, _) -> ?NOT_LOADED.

-spec journal_teller(sink()) -> boolean().
journal_teller(_) -> ?NOT_LOADED.

-spec journal_dropped(sink()) ->
    {Count :: non_neg_integer(), Last :: integer(), From :: binary(), To :: binary()}.
journal_dropped(_) -> ?NOT_LOADED.

-spec journal_told(sink(), Count :: non_neg_integer(), Last :: integer()) ->
    Rest :: non_neg_integer().
journal_told(_, _, _) -> ?NOT_LOADED.

-spec journal_info(sink()) ->
    {IsReachable :: boolean(), Sent :: non_neg_integer(), Dropped :: non_neg_integer()}.
journal_info(_) -> ?NOT_LOADED.

-spec is_journal(Fd :: 1 | 2, JournalStream :: binary()) -> boolean().
is_journal(_, _) -> ?NOT_LOADED.

-spec listen_fds(Fds :: variable(), Pid :: variable(), Names :: variable()) ->
    {ok, [{non_neg_integer(), Name :: binary() | false}]}
    | {error,
        {invalid_value, Variable :: binary()}
        | {other_process, pos_integer() | nil}
        | {closed, Fd :: pos_integer()}}.
listen_fds(_, _, _) -> ?NOT_LOADED.

-spec socket_info(Fd :: non_neg_integer()) ->
    {ok, {
        inet | inet6 | local,
        stream | dgram | seqpacket | raw | undefined,
        Listening :: boolean(),
        Connected :: boolean(),
        Address :: term()
    }}
    | {error, file:posix()}.
socket_info(_) -> ?NOT_LOADED.

-spec hand_out(Fd :: non_neg_integer()) -> ok | {error, file:posix()}.
hand_out(_) -> ?NOT_LOADED.

-spec fd_name(term()) -> {ok, binary()} | {error, {invalid_fd_name, term()}}.
fd_name(_) -> ?NOT_LOADED.

-spec hold([[Fd :: non_neg_integer()]]) -> {ok, [held()]} | {error, bad_descriptor | file:posix()}.
hold(_) -> ?NOT_LOADED.

-spec let_go(held()) -> ok.
let_go(_) -> ?NOT_LOADED.

-spec store_fds(
    notifier(),
    Name :: binary() | false,
    Poll :: boolean(),
    held(),
    Millis :: non_neg_integer()
) -> ok | busy | {error, systemd:reason()}.
store_fds(_, _, _, _, _) -> ?NOT_LOADED.

-spec clear_fds(notifier(), Name :: binary(), Millis :: non_neg_integer()) ->
    ok | busy | {error, systemd:reason()}.
clear_fds(_, _, _) -> ?NOT_LOADED.

-spec hold_term(Name :: binary(), binary()) -> {ok, held()} | {error, file:posix()}.
hold_term(_, _) -> ?NOT_LOADED.

-spec store_term(notifier(), Name :: binary(), held()) -> ok | busy | {error, systemd:reason()}.
store_term(_, _, _) -> ?NOT_LOADED.

-spec fetch_term(Name :: binary()) -> {ok, binary()} | undefined | {error, file:posix()}.
fetch_term(_) -> ?NOT_LOADED.

-spec dirty_cpu() -> ok.
dirty_cpu() -> ?NOT_LOADED.

-spec dirty_io() -> ok.
dirty_io() -> ?NOT_LOADED.
