-module(consumer).
-behaviour(application).
-behaviour(supervisor).

-export([start/2, stop/1, init/1, level/0]).

-include_lib("systemd/include/systemd.hrl").

start(_Type, _Args) -> supervisor:start_link(?MODULE, []).

stop(_State) -> ok.

level() -> ?SD_INFO.

init([]) -> {ok, {#{}, [systemd:ready()]}}.
