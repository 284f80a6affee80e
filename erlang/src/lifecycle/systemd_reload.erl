%% @private
%% What a reload is, as the config key `reload' says it, and one at a time.
-module(systemd_reload).
-behaviour(gen_server).

-export([child_spec/0, start_link/0, request/0, persist/0, reload/0, restart/2, announce_restart/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {
    running = none :: none | {Runner :: pid(), [reloading], Waiting :: [gen_server:from()]},
    %% Asked for while another one runs: the function may have read what has changed since.
    next = none :: none | [gen_server:from()]
}).

%% In milliseconds.
-define(RESTART_TIMEOUT, 120000).

%% In characters.
-define(LONGEST_STATUS, 500).

-spec child_spec() -> supervisor:child_spec().
child_spec() -> #{id => ?MODULE, start => {?MODULE, start_link, []}}.

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Has one done, and waits for nothing.
-spec request() -> ok.
request() ->
    _ = case configured() of
        restart -> spawn(?MODULE, restart, [fun init:restart/0, []]);
        _ -> spawn(?MODULE, persist, [])
    end,
    ok.

%% @doc Asks again when the process that does it was ended: whoever sent a signal does not learn of that.
-spec persist() -> ok.
persist() ->
    try gen_server:call(?MODULE, reload, infinity) of
        _ -> ok
    catch
        exit:_ ->
            timer:sleep(100),
            _ = whereis(systemd_sup) =/= undefined andalso persist(),
            ok
    end.

%% @doc Returns when one is done that was begun after the call.
-spec reload() -> ok | {error, systemd:reason()}.
reload() ->
    case configured() of
        restart ->
            restart(fun init:restart/0, []);
        _ ->
            try gen_server:call(?MODULE, reload, infinity)
            catch
                exit:{Reason, _} when Reason =:= shutdown; Reason =:= noproc -> {error, stopping};
                exit:{Reason, _} -> {error, {reload_failed, Reason}}
            end
    end.

%% @doc Says so, and restarts the VM. Nothing is restarted when it can't be said.
-spec restart(fun(), Args :: list()) -> ok | {error, systemd:reason()}.
restart(Restart, Args) ->
    case systemd_shutdown:is_under_way() of
        true ->
            refused();
        false ->
            systemd_shutdown:restarting(true),
            case announce_restart() of
                ok ->
                    apply(Restart, Args);
                {error, _} = Error ->
                    systemd_shutdown:restarting(false),
                    Error
            end
    end.

refused() ->
    systemd_log:say(notice, "systemd: not reloaded, because the service goes down", []),
    {error, stopping}.

%% @doc Nobody pings while the VM restarts in place, so that the manager is given another timeout.
-spec announce_restart() -> ok | {error, systemd:reason()}.
announce_restart() ->
    Timeout = systemd_config:value(restart_timeout, ?RESTART_TIMEOUT),
    Bridge = systemd_watchdog:bridge(Timeout),
    case systemd_notify:send([reloading | Bridge]) of
        ok when Bridge =:= [] -> ok;
        ok -> systemd_watchdog:bridged();
        {error, _} = Error -> Error
    end.

configured() -> application:get_env(systemd, reload, restart).

%% One that was going on when the process before this one ended has no end but this.
init([]) ->
    process_flag(trap_exit, true),
    _ = systemd_notify:has_announced(reloading) andalso finish({failed, interrupted}, [reloading]),
    {ok, #state{}}.

%% It would wait for itself.
handle_call(reload, {Runner, _}, #state{running = {Runner, _, _}} = State) ->
    {reply, {error, {reload_failed, reloading}}, State};
handle_call(reload, From, State) -> {noreply, reload([From], State)};
handle_call(_, _, State) -> {reply, {error, badarg}, State}.

handle_cast(_, State) -> {noreply, State}.

handle_info({'EXIT', Runner, Reason}, #state{running = {Runner, Said, Waiting}, next = Next} = State) ->
    Reply = finish(outcome(systemd_function:outcome(Reason)), Said),
    lists:foreach(fun(From) -> gen_server:reply(From, Reply) end, Waiting),
    Idle = State#state{running = none, next = none},
    {noreply, case Next of none -> Idle; _ -> reload(Next, Idle) end};
handle_info(_, State) ->
    {noreply, State}.

%% A reload that goes on is part of what goes down.
terminate(_, #state{running = {Runner, _, _}}) -> exit(Runner, kill);
terminate(_, _) -> ok.

reload(From, #state{running = none} = State) ->
    case systemd_shutdown:is_under_way() of
        true ->
            Refused = refused(),
            lists:foreach(fun(Asked) -> gen_server:reply(Asked, Refused) end, From),
            State;
        false ->
            %% A failure is logged there; it is no reason to go on with what is out of date.
            Said = [
                reloading
             || systemd_notify:has_announced(ready), systemd_notify:send(reloading) =:= ok
            ],
            Runner = systemd_function:start_link(configured(), normal),
            State#state{running = {Runner, Said, From}}
    end;
reload(From, #state{next = none} = State) ->
    State#state{next = From};
reload(From, #state{next = Next} = State) ->
    State#state{next = From ++ Next}.

outcome({returned, ok}) -> {done, ok};
outcome({returned, {ok, Result}}) -> {done, Result};
outcome({returned, {error, Reason}}) -> {failed, Reason};
outcome({returned, error}) -> {failed, error};
outcome({returned, Result}) -> {done, Result};
outcome(Failure) -> Failure.

-spec finish({done, term()} | {failed, term()} | systemd_function:failure(), [reloading]) ->
    ok | {error, systemd:reason()}.
finish({done, Result}, Said) ->
    Text = case Result of ok -> "reloaded"; _ -> ["reloaded: ", describe(Result)] end,
    systemd_log:say(notice, "systemd: ~ts", [Text]),
    tell(Said, Text);
finish(Failure, Said) ->
    {Status, Log} = explain(Failure),
    systemd_log:say(error, "systemd: reload failed, and the service goes on: ~ts", [Log]),
    _ = tell(Said, ["reload failed: ", Status]),
    {error, {reload_failed, reason(Failure)}}.

%% What goes down has other things to tell. What was not begun for the manager has no end.
tell(Said, Text) ->
    case systemd_shutdown:is_under_way() of
        true ->
            ok;
        false ->
            Status = unicode:characters_to_binary(string:slice(Text, 0, ?LONGEST_STATUS)),
            systemd_notify:send([ready || reloading <- Said] ++ [{status, Status}])
    end.

reason({raised, Class, Reason, _}) -> {Class, Reason};
reason({_, Reason}) -> Reason.

%% Everybody may read the status: only what the function meant to say is told there.
explain({failed, Reason}) ->
    Text = describe(Reason),
    {Text, Text};
explain(Failure) ->
    {Format, Args} = systemd_function:describe(Failure, reload),
    {["it ", systemd_function:summary(Failure), ", see the log"], text("its function " ++ Format, Args)}.

%% Text as it is, and any other term as Erlang writes it.
describe(Result) when is_binary(Result) ->
    case unicode:characters_to_binary(Result) of
        Result -> Result;
        _ -> text("~0tP", [systemd_elixir:redacted(Result), 50])
    end;
describe(Result) ->
    case io_lib:printable_unicode_list(Result) of
        true -> Result;
        false -> text("~0tP", [systemd_elixir:redacted(Result), 50])
    end.

text(Format, Args) -> io_lib:format(Format, Args).
