%% @private
%% Children that notify. One sends `READY=1' and leaves no process behind. The other sends when it starts, and when a
%% shutdown of the service stops it.
-module(systemd_status).
-behaviour(gen_server).

-export([ready/1, ready_link/1, child_spec/1, child_spec/2, start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).

-type status() :: default | undefined | nil | unicode:chardata().

-spec ready(status()) -> supervisor:child_spec().
ready(Status) -> #{id => {?MODULE, ready, Status}, start => {?MODULE, ready_link, [Status]}, restart => temporary}.

-spec ready_link(status()) -> ignore.
ready_link(Status) ->
    _ = systemd_notify:send_early(present([ready, {status, or_default(Status)}])),
    ignore.

%% A status that the service has set is more useful than the default.
or_default(default) ->
    case systemd_notify:has_announced(status) of
        true -> undefined;
        false -> <<"ready">>
    end;
or_default(Status) ->
    Status.

-spec child_spec(systemd:statuses()) -> supervisor:child_spec().
child_spec(Statuses) ->
    {Up, Down} = up_and_down(Statuses),
    child_spec(Up, {systemd_notify, send, [Down]}).

%% @doc The child calls `Down' when a shutdown of the service stops it.
-spec child_spec(Up :: [systemd:state()], Down :: {module(), atom(), list()}) -> supervisor:child_spec().
child_spec(Up, Down) -> #{id => {?MODULE, Up, Down}, start => {?MODULE, start_link, [Up, Down]}}.

start_link(Up, Down) -> gen_server:start_link(?MODULE, {Up, Down}, []).

init({Up, Down}) ->
    process_flag(trap_exit, true),
    _ = systemd_notify:send(Up),
    {ok, Down, hibernate}.

handle_call(_, _, Down) -> {reply, {error, badarg}, Down}.

handle_cast(_, Down) -> {noreply, Down}.

%% Otherwise a crash in the supervision tree has stopped this child, and the service continues.
terminate(_, {Module, Function, Args}) -> systemd_lifecycle:is_going_down() andalso apply(Module, Function, Args).

up_and_down(Statuses) when is_map(Statuses) -> up_and_down(maps:to_list(Statuses));
up_and_down(Statuses) ->
    try {present(proplists:get_value(up, Statuses, [])), present(proplists:get_value(down, Statuses, []))}
    catch error:_ -> {{Statuses}, []}
    end.

present(States) when length(States) >= 0 -> [State || State <- States, is_present(State)];
present(State) -> present([State]).

is_present({status, Status}) -> is_present(Status);
is_present(State) -> State =/= undefined andalso State =/= nil.
