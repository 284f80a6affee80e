%% @private
%% What the VM itself can still do about a check that hangs.
-module(systemd_hang).

-export([tell_where/1, dump/2]).

%% How long the manager waits for the dump, in milliseconds.
-define(LONGEST_DUMP, 600000).

%% @doc Logs where the process of the check is. Nobody waits for a process that can't tell.
-spec tell_where(Runner :: pid()) -> ok.
tell_where(Runner) ->
    _ = spawn(fun() ->
        case process_info(Runner, current_stacktrace) of
            {current_stacktrace, Stack} ->
                systemd_log:say(
                    error, "systemd: watchdog_check has not returned yet, it is at ~0tP", [Stack, 30]
                );
            undefined ->
                ok
        end
    end),
    ok.

%% @doc Ends the VM with a crash dump at that path. The manager gets the time that it takes.
-spec dump(unicode:chardata(), systemd_nif:watchdog()) -> no_return().
dump(Path, Watchdog) ->
    %% First, because what fails must not take the manager's patience.
    true = os:putenv("ERL_CRASH_DUMP", unicode:characters_to_list(Path)),
    %% Also where other crashes have none.
    true = os:putenv("ERL_CRASH_DUMP_SECONDS", "-1"),
    _ = catch systemd_nif:watchdog_order(Watchdog, stop),
    _ = systemd_notify:send([
        {status, ["watchdog: writes the crash dump ", Path]} | systemd_watchdog:bridge(?LONGEST_DUMP)
    ]),
    erlang:halt("systemd: the check of the watchdog hangs").
