%% @private
%% The child that notifies when it is started, and when its supervisor takes it down.
-module(systemd_status).
-behaviour(gen_server).

-export([child_spec/1, start_link/1]).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).

-spec child_spec(systemd:statuses()) -> supervisor:child_spec().
child_spec(Statuses) ->
    #{
        id => {?MODULE, make_ref()},
        start => {?MODULE, start_link, [Statuses]},
        modules => [?MODULE]
    }.

start_link(Statuses) -> gen_server:start_link(?MODULE, Statuses, []).

init(Statuses) ->
    process_flag(trap_exit, true),
    {Up, Down} = up_and_down(Statuses),
    _ = systemd_notify:send(Up),
    {ok, Down, hibernate}.

handle_call(_, _, Down) -> {reply, {error, badarg}, Down}.

handle_cast(_, Down) -> {noreply, Down}.

terminate(_, Down) -> systemd_notify:send(Down).

up_and_down(Statuses) when is_map(Statuses) ->
    {maps:get(up, Statuses, []), maps:get(down, Statuses, [])};
up_and_down(Statuses) ->
    try {proplists:get_value(up, Statuses, []), proplists:get_value(down, Statuses, [])}
    catch error:_ -> {{Statuses}, []}
    end.
