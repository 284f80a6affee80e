%% @private
%% Asks systemd for more time while something takes long.
-module(systemd_extension).

-export([while/2, child_spec/1]).
-export([go_on/2, start_extender/1, extend/2, ask/3]).

%% In milliseconds.
-define(LIMIT, 1800000).
%% How much time one message asks for. A busy machine may delay this process for that long. A VM that hangs gets no
%% more time.
-define(EXTENSION, 10000).
-define(INTERVAL, 1000).
%% systemd ends the service this long after the limit. In that time, the message about the limit reaches the log.
-define(GRACE, 1000).

options([{limit, Limit} | Rest], _, Status) when is_integer(Limit), Limit > 0, Limit < 1 bsl 32 ->
    options(Rest, Limit, Status);
options([{status, Text} | Rest], Limit, _) ->
    options(Rest, Limit, [{status, Text}]);
options([], Limit, Status) ->
    {Limit, Status};
options(Options, _, _) ->
    error(badarg, [Options]).

while(Fun, Options) when is_function(Fun, 0) ->
    {Limit, Status} = options(Options, ?LIMIT, []),
    systemd_function:extend(Limit),
    Extender = systemd_notify:is_absent() orelse start(Limit),
    _ = systemd_notify:send(Status),
    try Fun()
    after is_pid(Extender) andalso exit(Extender, kill)
    end;
while(Fun, Options) ->
    error(badarg, [Fun, Options]).

start(Limit) ->
    try spawn(?MODULE, extend, [self(), Limit])
    catch
        error:system_limit -> not_started()
    end.

not_started() ->
    systemd_log:once({extend_timeout, system_limit}, error, "systemd: cannot ask for more time: the VM "
        "has reached its limit of processes (+P of erl)", []).

%% Asks until `Process' ends, the limit is reached, or this process is killed.
-spec extend(pid(), Limit :: pos_integer()) -> ok.
extend(Process, Limit) ->
    _ = process_flag(priority, high),
    ask(monitor(process, Process), Limit, systemd_wait:deadline(Limit)).

-spec ask(reference(), Limit :: pos_integer(), systemd_wait:deadline()) -> ok.
ask(Monitor, Limit, Deadline) ->
    case {setting(), systemd_wait:rest(Deadline)} of
        {none, 0} ->
            ok;
        {Setting, 0} ->
            report_limit(Limit, Setting);
        {Setting, Rest} ->
            _ = Setting =:= none orelse
                systemd_notify:send({extend_timeout, {min(Rest + ?GRACE, ?EXTENSION), millisecond}}),
            receive {'DOWN', Monitor, process, _, _} -> ok
            after min(Rest, ?INTERVAL) -> ?MODULE:ask(Monitor, Limit, Deadline)
            end
    end.

%% The setting that limits the service in its present state. While the service runs, that would be `RuntimeMaxSec=',
%% which is not extended.
setting() ->
    case systemd_lifecycle:state() of
        stopping -> "TimeoutStopSec=";
        running -> none;
        _ -> "TimeoutStartSec="
    end.

report_limit(Limit, Setting) ->
    Line = io_lib:format("still running after ~w s, the limit of extend_timeout_while: ~s applies now", [
        seconds(Limit), Setting
    ]),
    systemd_log:say(error, "systemd: ~s", [Line]),
    _ = systemd_notify:send({status, Line}),
    ok.

seconds(Millis) when Millis rem 1000 =:= 0 -> Millis div 1000;
seconds(Millis) -> Millis / 1000.

child_spec(Options) ->
    {Limit, Status} = options(Options, ?LIMIT, []),
    systemd_status:child_spec([], {?MODULE, go_on, [Limit, Status]}).

%% @doc Asks for more time until the VM or this application stops, even after the calling process has ended.
-spec go_on(Limit :: pos_integer(), [systemd:state()]) -> ok | {error, systemd:reason()}.
go_on(Limit, Status) ->
    Extender = #{id => make_ref(), start => {?MODULE, start_extender, [Limit]}, restart => temporary},
    _ = case supervisor:start_child(systemd_sup, Extender) of
        {ok, _} -> ok;
        {error, _} -> not_started()
    end,
    systemd_notify:send(Status).

-spec start_extender(Limit :: pos_integer()) -> {ok, pid()}.
start_extender(Limit) -> {ok, spawn_link(?MODULE, extend, [self(), Limit])}.
