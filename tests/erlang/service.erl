%% Another VM, that runs the application against a recorder and evaluates what it is told.
-module(service).

-export([ebin/0, start/2, start/3, start/4, eval/2, signal/2, os_pid/1, log/1, await_end/1, stop/1, next/1]).
-export([loop/0]).

-record(service, {port, log}).

%% Where the application is.
ebin() -> filename:join(code:lib_dir(systemd), "ebin").

start(Recorder, States) -> start(Recorder, States, ebin()).

%% `States' is the text of what it notifies of when the application runs.
start(Recorder, States, Ebin) -> start(Recorder, States, Ebin, "").

%% With these flags of the emulator.
start(Recorder, States, Ebin, Flags) ->
    Log = lists:flatten(io_lib:format("/tmp/systemd-~s-~b.log", [os:getpid(), erlang:unique_integer([positive])])),
    Eval = "{ok, _} = application:ensure_all_started(systemd), "
        "systemd:notify(" ++ States ++ "), spawn(service, loop, [])",
    Port = open_port({spawn_executable, "/bin/sh"}, [
        {args, ["-c", "exec erl -noshell -pa \"$1\" \"$2\" -eval \"$3\" >\"$4\" 2>&1", "sh",
            Ebin, filename:dirname(code:which(?MODULE)), Eval, Log]},
        {env, [
            {"NOTIFY_SOCKET", recorder:path(Recorder)}, {"ERL_FLAGS", lists:flatten([os:getenv("ERL_FLAGS", ""), " ", Flags])}
        ]},
        exit_status
    ]),
    #service{port = Port, log = Log}.

%% Runs in that VM, and ends it with its input.
loop() ->
    case io:get_line("") of
        eof ->
            halt();
        Line ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, Parsed} = erl_parse:parse_exprs(Tokens),
            {value, _, _} = erl_eval:exprs(Parsed, []),
            loop()
    end.

eval(#service{port = Port}, Expressions) -> true = port_command(Port, Expressions ++ ".\n").

os_pid(#service{port = Port}) ->
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Pid.

signal(Service, Name) ->
    "" = os:cmd(io_lib:format("kill -~s ~b", [Name, os_pid(Service)])),
    ok.

log(#service{log = Log}) ->
    case file:read_file(Log) of
        {ok, Text} -> binary_to_list(Text);
        {error, enoent} -> ""
    end.

await_end(#service{port = Port}) ->
    receive {Port, {exit_status, Status}} -> Status
    after 20000 -> error(still_there)
    end.

stop(#service{port = Port, log = Log} = Service) ->
    case erlang:port_info(Port) of
        undefined -> ok;
        _ -> signal(Service, "KILL"), await_end(Service)
    end,
    file:delete(Log).

%% Starting a VM takes a while.
next(Recorder) -> recorder:next(Recorder, 20000).
