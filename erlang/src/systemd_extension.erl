%% @private
%% Asks for more time while something takes long.
-module(systemd_extension).
-behaviour(gen_server).

-export([while/2, child_spec/1, start_link/1]).
-export([init/1, handle_call/3, handle_cast/2, terminate/2]).
-export([hold/2]).

%% In milliseconds.
-define(LIMIT, 1800000).

%% @doc The options as they are used; `error' where one is none.
-spec options([systemd:extension()]) -> {Limit :: pos_integer(), [systemd:state()]} | error.
options(Options) -> options(Options, ?LIMIT, []).

options([{limit, Limit} | Rest], _, Status) when is_integer(Limit), Limit > 0, Limit < 1 bsl 32 ->
    options(Rest, Limit, Status);
options([{status, Text} | Rest], Limit, _) ->
    options(Rest, Limit, [{status, Text}]);
options([], Limit, Status) ->
    {Limit, Status};
options(_, _, _) ->
    error.

-spec while(fun(() -> Result), [systemd:extension()]) -> Result.
while(Fun, Options) when is_function(Fun, 0) ->
    case options(Options) of
        error ->
            error(badarg, [Fun, Options]);
        {Limit, Status} ->
            Extension = start(Limit),
            _ = systemd_notify:send(Status),
            try Fun()
            after stop(Extension)
            end
    end;
while(Fun, Options) ->
    error(badarg, [Fun, Options]).

start(Limit) ->
    case systemd_notify:with_notifier(fun(Notifier) -> systemd_nif:extend_start(Notifier, Limit) end) of
        {ok, Extension} ->
            Extension;
        undefined ->
            none;
        {error, eagain} ->
            systemd_log:once({extend_timeout, eagain}, error, "systemd: no more time is asked for: ~ts", [
                systemd_reason:explain_start(eagain)
            ]),
            none;
        {error, _} = Error ->
            _ = systemd_notify:failed(extend_timeout, Error),
            none
    end.

stop(none) -> ok;
%% One of another copy of the native library ends with the last reference to it.
stop(Extension) ->
    try systemd_nif:extend_stop(Extension)
    catch
        error:badarg ->
            true = erlang:garbage_collect(),
            ok
    end.

-spec child_spec([systemd:extension()]) -> supervisor:child_spec().
child_spec(Options) ->
    options(Options) =/= error orelse error(badarg, [Options]),
    #{
        id => {?MODULE, make_ref()},
        start => {?MODULE, start_link, [Options]},
        modules => [?MODULE]
    }.

start_link(Options) -> gen_server:start_link(?MODULE, Options, []).

init(Options) ->
    process_flag(trap_exit, true),
    {ok, options(Options), hibernate}.

handle_call(_, _, Options) -> {reply, {error, badarg}, Options}.

handle_cast(_, Options) -> {noreply, Options}.

%% Goes on without this process, until the VM or the application that sends is down.
terminate(_, {Limit, Status}) ->
    _ = systemd_shutdown:is_under_way() andalso
        proc_lib:start(?MODULE, hold, [Limit, Status]),
    ok.

-spec hold(Limit :: pos_integer(), [systemd:state()]) -> ok.
hold(Limit, Status) ->
    %% Of the application that stops now, all processes end.
    Supervisor = whereis(systemd_sup),
    {group_leader, Leader} = process_info(Supervisor, group_leader),
    true = group_leader(Leader, self()),
    Monitor = monitor(process, Supervisor),
    Extension = start(Limit),
    _ = systemd_notify:send(Status),
    proc_lib:init_ack(ok),
    receive {'DOWN', Monitor, process, _, _} -> stop(Extension) end.
