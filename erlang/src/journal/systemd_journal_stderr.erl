%% @private
%% Writes log lines to standard error, each with its level, while journald can't be reached.
-module(systemd_journal_stderr).

-export([write/3]).

%% How many requests may wait for standard error if no process reads it. A caller waits for its request only if no other
%% one is ahead of it.
-define(MAX_WAITING, 200).

%% @doc Returns when the text is written, or after this many milliseconds. Returns `full' if it will not be written.
-spec write(logger:level(), Text :: term(), Millis :: non_neg_integer()) -> ok | full.
write(Level, Text, Millis) ->
    Server = whereis(standard_error),
    case is_pid(Server) andalso process_info(Server, message_queue_len) of
        {_, 0} -> request(Server, systemd_kmsg_formatter:lines(Level, Text), Millis);
        {_, Waiting} when Waiting < ?MAX_WAITING -> request(Server, systemd_kmsg_formatter:lines(Level, Text), 0);
        _ -> full
    end.

%% A process of its own gets the reply, which may come when the caller no longer waits.
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
