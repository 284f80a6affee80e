%% A handler for Cowboy that takes a second.
-module(live_wait).

-export([init/2]).

init(Request, State) ->
    timer:sleep(1000),
    {ok, cowboy_req:reply(200, #{}, <<"hello, after 1 s\n">>, Request), State}.
