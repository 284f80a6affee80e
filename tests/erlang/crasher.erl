%% A server that can be made to crash.
-module(crasher).
-behaviour(gen_server).

-export([init/1, handle_call/3, handle_cast/2]).

init([]) -> {ok, 1}.

handle_call(_, _, State) -> {reply, ok, State}.

handle_cast({divide, By}, State) -> {noreply, State div By}.
