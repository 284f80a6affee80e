%% @private
%% What is known of the watchdog, for those who must not wait for its process.
-module(systemd_watchdog_info).

-export([open/2, enabled/1, asked/0, answered/0, answered/1, read/0]).

%% Positions in the only row.
-record(info, {
    key = info,
    timeout :: pos_integer(),
    warn_after :: pos_integer(),
    enabled = true :: boolean(),
    asked = none :: none | integer(),
    answered = none :: none | integer(),
    duration = never :: never | non_neg_integer(),
    result = not_checked :: ok | not_checked | unicode:chardata()
}).

%% @doc In milliseconds. The caller is the watchdog's process.
-spec open(Timeout :: pos_integer(), WarnAfter :: pos_integer()) -> ok.
open(Timeout, WarnAfter) ->
    ?MODULE = ets:new(?MODULE, [named_table, {keypos, #info.key}]),
    true = ets:insert(?MODULE, #info{timeout = Timeout, warn_after = WarnAfter}),
    ok.

-spec enabled(boolean()) -> ok.
enabled(Enabled) -> update([{#info.enabled, Enabled}, {#info.asked, none}]).

-spec asked() -> ok.
asked() -> update([{#info.asked, now_millis()}]).

%% @doc Without a check: the result stays what the last one has said.
-spec answered() -> ok.
answered() -> answered_with([]).

-spec answered(systemd_check:result()) -> ok.
answered(true) -> answered_with([{#info.result, ok}]);
answered({failed, _, Failed, _}) -> answered_with([{#info.result, unicode:characters_to_binary(Failed)}]).

answered_with(Result) ->
    Now = now_millis(),
    Duration =
        case ets:lookup_element(?MODULE, info, #info.asked) of
            none -> never;
            Asked -> Now - Asked
        end,
    update([{#info.asked, none}, {#info.answered, Now}, {#info.duration, Duration} | Result]).

update(Elements) ->
    true = ets:update_element(?MODULE, info, Elements),
    ok.

%% @doc `false' where no watchdog runs.
-spec read() -> false | systemd:watchdog_info().
read() ->
    try ets:lookup(?MODULE, info) of
        [Info] -> as_map(Info)
    catch
        error:badarg -> false
    end.

as_map(#info{asked = Asked, answered = Answered} = Info) ->
    #{
        timeout => Info#info.timeout,
        enabled => Info#info.enabled,
        last_answer => ago(Answered, 0, never),
        last_result => Info#info.result,
        last_duration => Info#info.duration,
        overdue => ago(Asked, Info#info.warn_after, false)
    }.

ago(none, _, Otherwise) ->
    Otherwise;
ago(When, Least, Otherwise) ->
    case now_millis() - When of
        Millis when Millis >= Least -> Millis;
        _ -> Otherwise
    end.

now_millis() -> erlang:monotonic_time(millisecond).
