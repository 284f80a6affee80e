%% Counts the threads of this VM by their names.
-module(thread_counter).

-export([count/1]).

%% A thread gets its name, and leaves /proc, a moment after it has begun and ended.
count(Name) ->
    Files = filelib:wildcard("/proc/self/task/*/comm"),
    Comm = list_to_binary(Name ++ "\n"),
    length([File || File <- Files, {ok, Read} <- [file:read_file(File)], Read =:= Comm]).
