%% What the VM itself keeps of each of its restarts: `erl -s live_restarts run COUNT FIRST' restarts it so
%% often, with the modules of the application loaded but not run, and prints by how many kB its resident memory
%% grew after the first ones.
-module(live_restarts).

-export([run/1]).

run([Count, First]) ->
    Number = list_to_integer(os:getenv("NUMBER", "0")),
    Number =:= atom_to_integer(First) andalso os:putenv("BEFORE", integer_to_list(resident())),
    case Number =:= atom_to_integer(Count) of
        true ->
            io:format("~b", [resident() - list_to_integer(os:getenv("BEFORE"))]),
            halt();
        false ->
            os:putenv("NUMBER", integer_to_list(Number + 1)),
            _ = application:load(systemd),
            {ok, Modules} = application:get_key(systemd, modules),
            [code:ensure_loaded(Module) || Module <- Modules, Module =/= systemd_nif],
            init:restart()
    end.

atom_to_integer(Atom) -> list_to_integer(atom_to_list(Atom)).

resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, [1], list}]),
    list_to_integer(Kilobytes).
