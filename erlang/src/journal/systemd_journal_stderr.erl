%% @private
%% Where log lines go while there is no journal: to standard error, each with its level.
-module(systemd_journal_stderr).

-export([write/3]).

%% So many requests may wait for standard error when nobody reads it. A caller waits only for one that nobody else
%% is in front of.
-define(MOST, 200).

%% @doc Returns when it is written, or after so many milliseconds; `full' when it will not be.
-spec write(logger:level(), Text :: term(), Millis :: non_neg_integer()) -> ok | full.
write(Level, Text, Millis) ->
    Server = whereis(standard_error),
    case is_pid(Server) andalso process_info(Server, message_queue_len) of
        {_, 0} -> request(Server, systemd_kmsg_formatter:lines(Level, Text), Millis);
        {_, Waiting} when Waiting < ?MOST -> request(Server, systemd_kmsg_formatter:lines(Level, Text), 0);
        _ -> full
    end.

%% The answer goes to a process of its own: it may come when nobody waits any more.
request(Server, Lines, Millis) ->
    {Reader, Monitor} = spawn_monitor(fun() ->
        Gone = monitor(process, Server),
        receive
            {io_reply, _, _} -> ok;
            {'DOWN', Gone, process, Server, _} -> ok
        end
    end),
    Server ! {io_request, Reader, Monitor, {put_chars, unicode, iolist_to_binary(Lines)}},
    receive {'DOWN', Monitor, process, Reader, _} -> ok
    after Millis -> true = demonitor(Monitor, [flush]), ok
    end.
