%% @private
%% The unit that this VM runs in, and what is in it.
-module(systemd_unit).

-export([name/0, name/1, show/2, parse/1]).

-export_type([settings/0]).

-type settings() :: #{Name :: string() => Value :: string()}.

-define(DEFAULTS, #{"Type" => "simple", "WatchdogSec" => "0", "Restart" => "no"}).

%% In milliseconds.
-define(LONGEST_WAIT, 5000).

%% @doc The last part of the control group's path that is a service's, unless the service has made groups of its own.
-spec name() -> string() | false.
name() ->
    case file:read_file("/proc/self/cgroup") of
        {ok, Groups} -> name(Groups);
        {error, _} -> false
    end.

-spec name(iodata()) -> string() | false.
name(Groups) ->
    Parts = re:split(Groups, "[/\n]", [{return, list}]),
    lists:last([false | [unescaped(Part) || Part <- Parts, filename:extension(Part) =:= ".service"]]).

%% systemd puts a `_' before a name that begins with one, or that the kernel may take for a file of its own, such as
%% `memory.service'.
unescaped([$_ | Name]) -> Name;
unescaped(Name) -> Name.

%% @doc Properties as `systemctl show' has them; none where it knows no such unit, or there is no such command.
-spec show(Unit :: string(), [Property :: string()]) -> settings() | {error, file:posix() | system_limit}.
show(Unit, Names) ->
    Systemctl = os:find_executable("systemctl"),
    Args = ["show", "--property=" ++ lists:join($,, ["LoadState" | Names]), "--", Unit],
    Options = [{args, Args}, {line, 1000}, exit_status, stderr_to_stdout, in],
    try Systemctl =/= false andalso open_port({spawn_executable, Systemctl}, Options) of
        false -> #{};
        Port -> loaded(properties(Port, systemd_wait:deadline(?LONGEST_WAIT), #{}))
    catch
        %% There is no descriptor or process to be had.
        error:Reason -> {error, Reason}
    end.

loaded(#{"LoadState" := "loaded"} = Properties) -> Properties;
loaded(#{}) -> #{}.

properties(Port, Deadline, Properties) ->
    receive
        {Port, {data, {_, Line}}} -> properties(Port, Deadline, assign(Line, Properties));
        {Port, {exit_status, _}} -> Properties
    after systemd_wait:rest(Deadline) ->
        port_close(Port),
        #{}
    end.

assign(Line, Settings) ->
    case string:split(Line, "=") of
        [Name, Value] -> Settings#{string:trim(Name) => string:trim(Value)};
        _ -> Settings
    end.

%% @doc The settings in the section `[Service]' of a unit file, see systemd.syntax(7): of several assignments of one the
%% last counts, and an empty one takes those before it back. With the defaults of those that matter here.
-spec parse(unicode:chardata()) -> settings() | {error, no_service_section}.
parse(Text) ->
    %% As systemd reads lines, and as editors of other systems write them.
    Unix = re:replace(re:replace(Text, "^\\xef\\xbb\\xbf", ""), "\r\n?", "\n", [global]),
    Code = re:replace(Unix, "^[ \t]*[#;].*\n?", "", [multiline, global]),
    Joined = re:replace(Code, "\\\\\n", " ", [global, {return, list}]),
    Lines = [string:trim(Line) || Line <- string:split(Joined, "\n", all)],
    case lists:member("[Service]", Lines) of
        true ->
            {_, Settings} = lists:foldl(fun line/2, {none, #{}}, Lines),
            maps:merge(?DEFAULTS, maps:filter(fun(_, Value) -> Value =/= "" end, Settings));
        false ->
            {error, no_service_section}
    end.

line([$[ | _] = Section, {_, Settings}) -> {Section, Settings};
line(Line, {"[Service]" = Section, Settings}) -> {Section, assign(Line, Settings)};
line(_, Other) -> Other.
