%% @private
%% Children that notify: one that says `READY=1' and leaves no process behind, and one that notifies when it is started,
%% and when it is stopped in a shutdown of the service.
-module(systemd_status).
-behaviour(gen_server).

-export([ready/1, ready_link/1, child_spec/1, child_spec/2, start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).

-type status() :: default | undefined | nil | unicode:chardata().

-spec ready(status()) -> supervisor:child_spec().
ready(Status) -> #{id => {?MODULE, ready, Status}, start => {?MODULE, ready_link, [Status]}, restart => temporary}.

-spec ready_link(status()) -> ignore.
ready_link(Status) ->
    _ = systemd_notify:send_early(said([ready, {status, or_default(Status)}])),
    ignore.

%% A status that the service has set already says more than ours.
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

%% @doc `Down' is called when the child is stopped in a shutdown of the service.
-spec child_spec(Up :: [systemd:state()], Down :: {module(), atom(), list()}) -> supervisor:child_spec().
child_spec(Up, Down) -> #{id => {?MODULE, Up, Down}, start => {?MODULE, start_link, [Up, Down]}}.

start_link(Up, Down) -> gen_server:start_link(?MODULE, {Up, Down}, []).

init({Up, Down}) ->
    process_flag(trap_exit, true),
    _ = systemd_notify:send(Up),
    {ok, Down, hibernate}.

handle_call(_, _, Down) -> {reply, {error, badarg}, Down}.

handle_cast(_, Down) -> {noreply, Down}.

%% Otherwise something has crashed in the tree, and the service goes on.
terminate(_, {Module, Function, Args}) -> systemd_lifecycle:is_going_down() andalso apply(Module, Function, Args).

up_and_down(Statuses) when is_map(Statuses) -> up_and_down(maps:to_list(Statuses));
up_and_down(Statuses) ->
    try {said(proplists:get_value(up, Statuses, [])), said(proplists:get_value(down, Statuses, []))}
    catch error:_ -> {{Statuses}, []}
    end.

said(States) when length(States) >= 0 -> [State || State <- States, is_said(State)];
said(State) -> said([State]).

is_said({status, Status}) -> is_said(Status);
is_said(State) -> State =/= undefined andalso State =/= nil.
