%% @private
%% Waiting for a native call that has to wait itself, and whose waiting threads are few.
-module(systemd_wait).

-export([until/2, deadline/1, rest/1]).

-export_type([deadline/0]).

-type deadline() :: integer() | infinity.

%% A call into the native library waits no longer than this, in milliseconds.
-define(LONGEST, 2000).
%% Between two tries, in milliseconds.
-define(FIRST_SLEEP, 2).
-define(LONGEST_SLEEP, 32).

%% @doc Calls `Try' with the milliseconds that it may wait. When it is `busy', because enough
%% dirty schedulers wait already, this process sleeps instead.
-spec until(deadline(), fun((non_neg_integer()) -> busy | Result)) -> Result | {error, eagain}.
until(Deadline, Try) -> until(Deadline, Try, ?FIRST_SLEEP).

until(Deadline, Try, Sleep) ->
    case {Try(min(rest(Deadline), ?LONGEST)), rest(Deadline)} of
        {busy, 0} ->
            {error, eagain};
        {busy, Rest} ->
            timer:sleep(min(Sleep, Rest)),
            until(Deadline, Try, min(2 * Sleep, ?LONGEST_SLEEP));
        {{error, eagain}, Rest} when Rest > 0 ->
            until(Deadline, Try, Sleep);
        {Result, _} ->
            Result
    end.

-spec deadline(timeout()) -> deadline().
deadline(infinity) -> infinity;
deadline(Timeout) when is_integer(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

%% @doc The milliseconds until then. An atom is greater than any of them.
-spec rest(deadline()) -> timeout().
rest(infinity) -> infinity;
rest(Deadline) when is_integer(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).
