%% Takes the place of standard error, and keeps what is written to it.
-module(stderr).

-export([start/0, stop/0, lines/0]).

start() ->
    Real = whereis(standard_error),
    unregister(standard_error),
    register(standard_error, spawn(fun() -> loop(Real, []) end)),
    ok.

stop() ->
    Real = call(real),
    standard_error ! stop,
    unregister(standard_error),
    register(standard_error, Real),
    ok.

lines() -> call(lines).

call(What) ->
    standard_error ! {What, self()},
    receive {stderr, Answer} -> Answer end.

loop(Real, Lines) ->
    receive
        {io_request, From, Ref, Request} ->
            From ! {io_reply, Ref, ok},
            loop(Real, Lines ++ [text(Request)]);
        {lines, From} ->
            From ! {stderr, Lines},
            loop(Real, Lines);
        {real, From} ->
            From ! {stderr, Real},
            loop(Real, Lines);
        stop ->
            ok
    end.

text({put_chars, _, Module, Function, Args}) -> unicode:characters_to_list(apply(Module, Function, Args));
text({put_chars, _, Chars}) -> unicode:characters_to_list(Chars).
