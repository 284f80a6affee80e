%% Limits of this VM, set from outside.
-module(limits).

-export([without_descriptors/1]).

%% No descriptor can be opened while `Fun' runs.
without_descriptors(Fun) ->
    _ = application:load(systemd),
    {ok, Modules} = application:get_key(systemd, modules),
    %% As in a release: what is called is loaded.
    ok = code:ensure_modules_loaded([file, io_lib, io_lib_format, io_lib_pretty, string, unicode_util | Modules]),
    Shell = open_port({spawn_executable, "/bin/sh"}, [stream, use_stdio]),
    try
        set(Shell, "3"),
        Fun()
    after
        set(Shell, "1024"),
        port_close(Shell)
    end.

set(Shell, Soft) ->
    true = port_command(Shell, ["prlimit --pid ", os:getpid(), " --nofile=", Soft, ":\necho done\n"]),
    receive {Shell, {data, "done\n"}} -> ok after 5000 -> error(not_set) end.
