%% @private
-module(systemd_sup).
-behaviour(supervisor).

-export([start_link/1, start_anew/1, init/1]).

%% In milliseconds.
-define(RETRY, 100).

-spec start_link([supervisor:child_spec()]) -> supervisor:startlink_ret().
start_link(Children) -> supervisor:start_link({local, ?MODULE}, ?MODULE, Children).

%% @doc Of a child, which may be the caller, with a native thread that another copy of the library does not know.
-spec start_anew(Id :: atom()) -> ok.
start_anew(Id) ->
    _ = try spawn(fun() -> restart(Id) end)
        %% There is no room for a process: the next one who asks may have it.
        catch error:system_limit -> ok
        end,
    ok.

restart(Id) ->
    try restart(Id, supervisor:terminate_child(?MODULE, Id))
    %% The application goes down.
    catch exit:_ -> ok
    end.

restart(Id, _) ->
    case supervisor:restart_child(?MODULE, Id) of
        {error, Reason} when Reason =/= running, Reason =/= restarting, Reason =/= not_found ->
            restart(Id, timer:sleep(?RETRY));
        _ ->
            ok
    end.

%% The service must not go down because of us. OTP counts in whole seconds, so that twice as many may come together.
init(Children) -> {ok, {#{strategy => one_for_one, intensity => 1000, period => 1}, Children}}.
