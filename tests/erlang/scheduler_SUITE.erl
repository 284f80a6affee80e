%% One scheduler is stuck in native code, and the others are free.
-module(scheduler_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

%% A tenth of the watchdog's timeout.
-define(INTERVAL, 300).
-define(VMS, 5).
-define(STALLS, 10).

all() -> [pings_go_on].

suite() -> [{timetrap, {minutes, 6}}].

init_per_suite(Config) -> check_SUITE:init_per_suite(Config).

end_per_suite(Config) -> check_SUITE:end_per_suite(Config).

%% With as many, twice as many, and eight times as many schedulers as this machine may have processors; in five VMs each.
pings_go_on(_) ->
    Self = self(),
    os:putenv("WATCHDOG_USEC", integer_to_list(10 * ?INTERVAL * 1000)),
    Run = fun(Schedulers) -> {Schedulers, spawn_link(fun() -> Self ! {self(), gaps(Schedulers)} end)} end,
    Runs = [Run(Schedulers) || _ <- lists:seq(1, ?VMS), Schedulers <- [2, 4, 16]],
    Gaps = [{Schedulers, receive {Pid, Found} -> Found end} || {Schedulers, Pid} <- Runs],
    os:unsetenv("WATCHDOG_USEC"),
    [
        begin
            Sorted = lists:sort(lists:append(proplists:get_all_values(Schedulers, Gaps))),
            io:format(user, "~n~b schedulers, ~b times one is stuck for 2500 ms: ~b pings, gaps of ~b ms at most~n", [
                Schedulers, ?VMS * ?STALLS, length(Sorted), lists:last(Sorted)
            ]),
            ?assert(lists:last(Sorted) < 2 * ?INTERVAL)
        end
     || Schedulers <- [2, 4, 16]
    ].

gaps(Schedulers) ->
    Recorder = recorder:start(),
    Flags = io_lib:format("+S ~b:~b", [Schedulers, Schedulers]),
    Service = service:start(Recorder, "ready", service:ebin(), Flags),
    try
        service:eval(Service, lists:flatten(io_lib:format(
            "true = code:add_patha(~0p), ok = live_block:block(0), systemd:notify({status, \"begin\"}), "
            "spawn(fun() -> [begin timer:sleep(rand:uniform(~b)), live_block:block(2500) end || _ <- lists:seq(1, ~b)], "
            "systemd:notify({status, \"over\"}) end)",
            [filename:dirname(code:which(live_block)), 3 * ?INTERVAL, ?STALLS]
        ))),
        await(Recorder, <<"STATUS=begin\n">>),
        gaps(Recorder, now_millis(), [])
    after
        service:stop(Service),
        recorder:stop(Recorder)
    end.

gaps(Recorder, Last, Gaps) ->
    case recorder:next(Recorder, 10000) of
        <<"WATCHDOG=1\n">> ->
            Now = now_millis(),
            gaps(Recorder, Now, [Now - Last | Gaps]);
        %% After half of the timeout the status says so; when the stall ends, the status is as before.
        <<"STATUS=watchdog: scheduler ", _/binary>> ->
            gaps(Recorder, Last, Gaps);
        <<"STATUS=begin\n">> ->
            gaps(Recorder, Last, Gaps);
        %% Any other is a stall of the VM.
        Other ->
            ?assertEqual(<<"STATUS=over\n">>, Other),
            Gaps
    end.

await(Recorder, Message) ->
    case service:next(Recorder) of
        Message -> ok;
        <<_, _/binary>> -> await(Recorder, Message)
    end.

now_millis() -> erlang:monotonic_time(millisecond).
