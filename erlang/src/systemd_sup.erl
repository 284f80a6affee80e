%% @private
-module(systemd_sup).
-behaviour(supervisor).

-export([start_link/1, init/1]).

-spec start_link([supervisor:child_spec()]) -> supervisor:startlink_ret().
start_link(Children) -> supervisor:start_link({local, ?MODULE}, ?MODULE, Children).

%% The service must not go down because of us, hence the patience. OTP counts in whole seconds, so that
%% twice the period may come together.
init(Children) -> {ok, {#{strategy => one_for_one, intensity => 1000, period => 1}, Children}}.
