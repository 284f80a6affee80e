%% @private
-module(systemd_sup).
-behaviour(supervisor).

-export([start_link/1, restart_child/1, init/1]).

%% In milliseconds.
-define(RETRY, 100).

-spec start_link([supervisor:child_spec()]) -> supervisor:startlink_ret().
start_link(Children) -> supervisor:start_link({local, ?MODULE}, ?MODULE, Children).

%% @doc Restarts a child whose native thread belongs to another copy of the library. The child may be the caller.
-spec restart_child(Id :: atom()) -> ok.
restart_child(Id) ->
    _ = try spawn(fun() -> restart(Id) end)
        %% The VM has no room for another process. The next call tries again.
        catch error:system_limit -> ok
        end,
    ok.

restart(Id) ->
    try restart(Id, supervisor:terminate_child(?MODULE, Id))
    %% The application stops.
    catch exit:_ -> ok
    end.

restart(Id, _) ->
    case supervisor:restart_child(?MODULE, Id) of
        {error, Reason} when Reason =/= running, Reason =/= restarting, Reason =/= not_found ->
            restart(Id, timer:sleep(?RETRY));
        _ ->
            ok
    end.

%% This supervisor must not end the service, so the limit is out of reach. OTP counts in whole seconds: the restarts of
%% two seconds may count together.
init(Children) -> {ok, {#{strategy => one_for_one, intensity => 1000, period => 1}, Children}}.
