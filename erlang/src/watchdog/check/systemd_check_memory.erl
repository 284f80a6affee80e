%% @private
%% How much memory there is in use, and how much there may be. Of a control group the file cache isn't
%% counted, because the kernel takes it back before it runs out of memory.
-module(systemd_check_memory).

-export([run/2, resident/1, unit/1]).

%% @doc `unknown' where the system doesn't say it, or where the unit has no limit. `Root' is a prefix of all
%% paths.
-spec run(systemd_check:memory_limit(), Root :: string()) -> true | unknown | io_lib:chars().
run(Bytes, Root) when is_integer(Bytes) ->
    case resident(Root) of
        unknown -> unknown;
        Used -> compare(Used, Bytes)
    end;
run(Share, Root) ->
    case unit(Root) of
        unknown -> unknown;
        {Used, Limit} -> compare(Used, trunc(Share * Limit))
    end.

compare(Used, Max) when Used > Max -> io_lib:format(" ~ts > ~ts", [bytes(Used), bytes(Max)]);
compare(_, _) -> true.

bytes(Bytes) when Bytes >= 1 bsl 30 -> io_lib:format("~.1f GiB", [Bytes / (1 bsl 30)]);
bytes(Bytes) -> io_lib:format("~.1f MiB", [Bytes / (1 bsl 20)]).

%% @doc What of the process is in memory.
-spec resident(Root :: string()) -> non_neg_integer() | unknown.
resident(Root) ->
    case number("VmRSS:", read([Root, "/proc/self/status"])) of
        none -> unknown;
        KiB -> KiB * 1024
    end.

%% @doc What the nearest control group with a limit uses, and that limit.
-spec unit(Root :: string()) -> {Used :: integer(), Limit :: non_neg_integer()} | unknown.
unit(Root) ->
    Groups = read([Root, "/proc/self/cgroup"]),
    case {match(Groups, "^\\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(/.*)$"), match(Groups, "^0::(/.*)$")} of
        {none, none} ->
            unknown;
        {none, Path} ->
            Files = {"/memory.max", "/memory.current", ["active_file", "inactive_file"]},
            nearest([Root, "/sys/fs/cgroup"], Path, Files);
        %% A controller is in one hierarchy only, that of version 1 if it is there.
        {Path, _} ->
            Files = {
                "/memory.limit_in_bytes",
                "/memory.usage_in_bytes",
                ["total_active_file", "total_inactive_file"]
            },
            nearest([Root, "/sys/fs/cgroup/memory"], Path, Files)
    end.

nearest(Mount, Path, {Max, Current, Cache} = Files) ->
    case number("", read([Mount, Path, Max])) of
        %% Version 1 has a number of that size for none.
        Limit when is_integer(Limit), Limit < 1 bsl 62 ->
            Used = number("", read([Mount, Path, Current])),
            Stat = read([Mount, Path, "/memory.stat"]),
            Cached = [number(Key, Stat) || Key <- Cache],
            case lists:member(none, [Used | Cached]) of
                true -> unknown;
                false -> {Used - lists:sum(Cached), Limit}
            end;
        _ when Path =:= <<"/">> ->
            unknown;
        _ ->
            nearest(Mount, filename:dirname(Path), Files)
    end.

number(Key, Text) ->
    case match(Text, ["^", Key, "\\s*(\\d+)"]) of
        none -> none;
        Digits -> binary_to_integer(Digits)
    end.

match(Text, Pattern) ->
    case re:run(Text, Pattern, [multiline, {capture, all_but_first, binary}]) of
        {match, [Match]} -> Match;
        nomatch -> none
    end.

%% Raw, because the process behind other files may be waiting for one that hangs.
read(Path) ->
    case file:open(iolist_to_binary(Path), [read, raw, binary]) of
        {ok, File} ->
            Read = file:read(File, 8192),
            _ = file:close(File),
            case Read of {ok, Text} -> Text; _ -> <<>> end;
        {error, _} ->
            <<>>
    end.
