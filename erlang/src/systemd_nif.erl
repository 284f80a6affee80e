%% @private
%% The functions of native/systemd_nif. Loading this module never fails, so that a release boots without the library,
%% and on systems for which it isn't built: see {@link loaded/0}.
%%
%% A new version may be loaded while the VM runs. A new copy of the library raises `badarg' for what a former copy has
%% made, and the caller makes it again. A call that takes more than a moment returns a reference, see
%% {@link systemd_wait:reply/1}.
-module(systemd_nif).

-export([loaded/0, load_error/0, priv_dir/0, initial_env/1, relation/1, pidfd_id/0, dirty_cpu/0, dirty_io/0]).
-export([open/2, notify/3, has_announced/1, notify_failed/1, notifier_info/1, barrier/2, barrier_reached/1]).
-export([watchdog_usec/2, watchdog_start/6, watchdog_take_up/5, watchdog_checking/3, watchdog_answer/3]).
-export([watchdog_order/2, watchdog_ran/2, watchdog_found/2, memory/1]).
-export([journal_sink/4, journal_missing/1, journal_log/4, journal_log_large/4, journal_drop/2, journal_teller/1]).
-export([journal_dropped/1, journal_told/3, journal_info/1, is_journal/2]).
-export([listen_fds/4, socket_info/1, hand_out/1, fd_name/1, store_fds/4, clear_fds/3, store_term/4, fetch_term/1]).
-export([take_away/1, give_back/2, close_taken/1, listening_on/1, connections/2]).
-export([memory_pressure_start/2, memory_pressure_done/1]).

-export_type([taken/0, notifier/0, barrier/0, watchdog/0, memory_pressure/0, sink/0, source/0]).

-on_load(load/0).

-include_lib("kernel/include/file.hrl").

-type taken() ::
    {Fd :: non_neg_integer(), Inode :: non_neg_integer(), Decoy :: non_neg_integer(), IsPassed :: boolean()}.
-type notifier() :: reference().
-type barrier() :: reference().
-type watchdog() :: reference().
-type memory_pressure() :: reference().
-type sink() :: reference().
-type source() :: level | priority | time | {literal, binary()} | [Metakey :: atom()].

-type variable() :: binary() | false.
-type sent() :: systemd_wait:reply(ok | {error, systemd:reason()}).

-define(NOT_LOADED, erlang:nif_error(nif_not_loaded)).

load() ->
    File = priv_dir() ++ "/systemd_nif",
    Path = path(File),
    case erlang:load_nif(Path, 0) of
        ok ->
            persistent_term:put(?MODULE, loaded);
        {error, {_, Text}} ->
            Plain = lists:flatten(string:replace(Text, Path, File)),
            %% After an error the VM keeps the version that was loaded before.
            case loaded() of
                true -> {error, Plain};
                false -> persistent_term:put(?MODULE, Plain)
            end
    end.

%% If the dynamic linker has opened a path before, it returns the same library, even if a build has replaced the file.
%% So each file gets a path of its own: before the name, it has the inode number in binary, written as `/.' and `//'.
path(File) ->
    case file:read_file_info(File ++ ".so", [raw]) of
        {ok, #file_info{inode = Inode}} ->
            Spelled = [case Bit of $0 -> "/."; $1 -> "//" end || Bit <- integer_to_list(Inode, 2)],
            lists:append([filename:dirname(File) | Spelled]) ++ "/" ++ filename:basename(File);
        {error, _} ->
            File
    end.

-spec priv_dir() -> file:filename_all().
priv_dir() ->
    case code:priv_dir(systemd) of
        {error, bad_name} -> filename:join(filename:dirname(code:which(?MODULE)), "../priv");
        Dir -> Dir
    end.

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
-spec relation(Pid :: string()) -> own | parent | other.
relation(_) -> ?NOT_LOADED.
-spec pidfd_id() -> non_neg_integer() | false.
pidfd_id() -> ?NOT_LOADED.
-spec dirty_cpu() -> ok.
dirty_cpu() -> ?NOT_LOADED.
-spec dirty_io() -> ok.
dirty_io() -> ?NOT_LOADED.

-spec open(NotifySocket :: binary(), ForgetAnnounced :: boolean()) -> {ok, notifier()} | {error, systemd:reason()}.
open(_, _) -> ?NOT_LOADED.
-spec notify(notifier(), term(), Millis :: non_neg_integer()) -> sent().
notify(_, _, _) -> ?NOT_LOADED.
-spec has_announced(systemd_notify:announcement()) -> boolean().
has_announced(_) -> ?NOT_LOADED.
-spec notify_failed(notifier()) -> ok.
notify_failed(_) -> ?NOT_LOADED.
-spec notifier_info(notifier()) ->
    {Sent :: non_neg_integer(), Failed :: non_neg_integer(), LastStatus :: binary() | false}.
notifier_info(_) -> ?NOT_LOADED.
-spec barrier(notifier(), Millis :: non_neg_integer()) -> {barrier(), sent()} | {error, systemd:reason()}.
barrier(_, _) -> ?NOT_LOADED.
-spec barrier_reached(barrier()) -> boolean() | {error, systemd:reason()}.
barrier_reached(_) -> ?NOT_LOADED.

-spec watchdog_usec(Usec :: binary() | false, Pid :: binary() | false) ->
    {ok | another, pos_integer()} | undefined | {error, {invalid_value, binary()}}.
watchdog_usec(_, _) -> ?NOT_LOADED.
-spec watchdog_start(
    notifier(), OnSchedulers :: [pid()], TimeoutUsec :: pos_integer(), IntervalUsec :: pos_integer(),
    WarnAfterUsec :: pos_integer(), OnHang :: withhold | trigger | abort
) -> {ok, watchdog()} | {error, systemd:reason()}.
watchdog_start(_, _, _, _, _, _) -> ?NOT_LOADED.
-spec watchdog_take_up(
    watchdog(), Tick :: pos_integer(), RunQueues :: [non_neg_integer()], Online :: non_neg_integer(),
    Busy :: [pos_integer()]
) -> ok.
watchdog_take_up(_, _, _, _, _) -> ?NOT_LOADED.
-spec watchdog_checking(watchdog(), Tick :: non_neg_integer(), What :: unicode:unicode_binary()) -> ok.
watchdog_checking(_, _, _) -> ?NOT_LOADED.
-spec watchdog_answer(
    watchdog(), Tick :: pos_integer(), Well :: boolean() | Failed :: unicode:unicode_binary()
) -> ok.
watchdog_answer(_, _, _) -> ?NOT_LOADED.
-spec watchdog_order(watchdog(), enable | disable | stop) -> ok.
watchdog_order(_, _) -> ?NOT_LOADED.
-spec watchdog_ran(watchdog(), Scheduler :: pos_integer()) -> ok.
watchdog_ran(_, _) -> ?NOT_LOADED.
-spec watchdog_found(watchdog(), Processes :: unicode:unicode_binary()) -> ok.
watchdog_found(_, _) -> ?NOT_LOADED.
-spec memory(systemd_check:memory_limit()) -> true | unknown | Exceeded :: unicode:unicode_binary().
memory(_) -> ?NOT_LOADED.

-type event() :: {
    logger:level(), logger:metadata(), Message :: unicode:chardata(), More :: [{Name :: binary(), Value :: binary()}]
}.
%% journal_log/4 alone returns `again'. The caller then calls journal_log_large/4.
-type logged() :: systemd_wait:reply(
    ok | again | {format, [Path :: [term()]]} | {error, no_thread | invalid_message | badarg | file:posix()}
).

-spec journal_sink(
    Path :: binary(), [{Name :: binary(), source()}], Metadata :: all | scalars | [atom()], Before :: sink() | none
) -> {ok, sink()} | {error, file:posix()}.
journal_sink(_, _, _, _) -> ?NOT_LOADED.
-spec journal_missing(sink()) -> IsNews :: boolean().
journal_missing(_) -> ?NOT_LOADED.
-spec journal_log(sink(), event(), Texts :: [binary()], Millis :: non_neg_integer()) -> logged().
journal_log(_, _, _, _) -> ?NOT_LOADED.
-spec journal_log_large(sink(), event(), Texts :: [binary()], Millis :: non_neg_integer()) -> logged().
journal_log_large(_, _, _, _) -> ?NOT_LOADED.
-spec journal_drop(sink(), Time :: term()) -> NeedsReporter :: boolean().
journal_drop(_, _) -> ?NOT_LOADED.
-spec journal_teller(sink()) -> boolean().
journal_teller(_) -> ?NOT_LOADED.
-spec journal_dropped(sink()) ->
    {Count :: non_neg_integer(), Last :: integer(), From :: binary(), To :: binary()}.
journal_dropped(_) -> ?NOT_LOADED.
-spec journal_told(sink(), Count :: non_neg_integer(), Last :: integer()) -> Rest :: non_neg_integer().
journal_told(_, _, _) -> ?NOT_LOADED.
-spec journal_info(sink()) ->
    {IsReachable :: boolean(), Sent :: non_neg_integer(), Dropped :: non_neg_integer()}.
journal_info(_) -> ?NOT_LOADED.
-spec is_journal(Fd :: 1 | 2, JournalStream :: binary()) -> boolean().
is_journal(_, _) -> ?NOT_LOADED.

-spec listen_fds(Fds :: variable(), Pid :: variable(), PidfdId :: variable(), Names :: variable()) ->
    {[{non_neg_integer(), Name :: binary() | false}], Complaints :: [binary()]}.
listen_fds(_, _, _, _) -> ?NOT_LOADED.
-spec socket_info(Fd :: non_neg_integer()) -> {ok, systemd:fd_info()} | {error, file:posix()}.
socket_info(_) -> ?NOT_LOADED.
-spec hand_out(Fd :: non_neg_integer()) -> ok | {error, file:posix()}.
hand_out(_) -> ?NOT_LOADED.
-spec fd_name(term()) -> {ok, binary()} | {error, {invalid_fd_name, term()}}.
fd_name(_) -> ?NOT_LOADED.
-spec store_fds(notifier(), [Fd | {Fd, Name :: term()}], Poll :: boolean(), Millis :: non_neg_integer()) -> sent() when
    Fd :: non_neg_integer() | term().
store_fds(_, _, _, _) -> ?NOT_LOADED.
-spec clear_fds(notifier(), Names :: [term()], Millis :: non_neg_integer()) -> sent().
clear_fds(_, _, _) -> ?NOT_LOADED.
-spec store_term(notifier(), Name :: term(), binary(), Millis :: non_neg_integer()) -> sent().
store_term(_, _, _, _) -> ?NOT_LOADED.
-spec fetch_term(Name :: term()) -> {ok, binary()} | undefined | {error, systemd:reason()}.
fetch_term(_) -> ?NOT_LOADED.

-spec take_away(Fd :: non_neg_integer()) -> {ok, taken()} | {error, file:posix()}.
take_away(_) -> ?NOT_LOADED.
-spec close_taken(taken()) -> ok | {error, file:posix()}.
close_taken(_) -> ?NOT_LOADED.
-spec give_back(taken(), Fd :: non_neg_integer()) -> ok | {error, file:posix()}.
give_back(_, _) -> ?NOT_LOADED.
-spec listening_on(inet:port_number()) -> {ok, [Fd :: non_neg_integer()]} | {error, file:posix()}.
listening_on(_) -> ?NOT_LOADED.
-spec connections([Fd :: non_neg_integer()], Millis :: non_neg_integer()) ->
    {ok, {Open :: non_neg_integer(), WithRequest :: non_neg_integer()}} | {error, file:posix()}.
connections(_, _) -> ?NOT_LOADED.

-spec memory_pressure_start(Path :: binary(), Data :: binary()) -> {ok, memory_pressure()} | {error, file:posix()}.
memory_pressure_start(_, _) -> ?NOT_LOADED.
-spec memory_pressure_done(memory_pressure()) -> ok.
memory_pressure_done(_) -> ?NOT_LOADED.
