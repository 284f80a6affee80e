%% @doc A formatter of `logger' for handlers that write to the journal through standard output or standard error. It
%% puts the level as `<N>' before each line of the parent formatter, as sd-daemon(3) describes, so that `journalctl -p'
%% knows the level.
%%
%% ```
%% #{formatter => {systemd_kmsg_formatter, #{parent => logger_formatter, single_line => true}}}
%% '''
%%
%% `parent' is `logger_formatter' by default. All other options are passed to it.
%%
%% When the application starts, it gives this formatter to each handler of `logger_std_h' whose stream is the journal,
%% unless the config key `install_kmsg' is `false'. Outside of systemd it changes no handler. Each line of a message
%% becomes an entry; {@link //systemd/systemd_journal_h} sends a message as one entry.
%%
%% A line of more than 48 KiB, the default of `LineMax=' in journald.conf(5), is split into parts of at most that size,
%% each with its level. NUL, which ends a line for journald, and bytes that are not UTF-8 become U+FFFD. With
%% `SyslogLevelPrefix=no' in the unit, journald shows the prefixes as text: remove that line, or set `install_kmsg' to
%% `false'.
-module(systemd_kmsg_formatter).

-export([format/2, check_config/1, lines/2]).

%% Together with the prefix of three bytes and the newline, 48 KiB.
-define(LONGEST, 48 * 1024 - 4).

%% See syslog(3).
-define(PRIORITIES, #{
    emergency => $0, alert => $1, critical => $2, error => $3, warning => $4, notice => $5, info => $6, debug => $7
}).

%% @private
-spec format(logger:log_event(), logger:formatter_config()) -> unicode:chardata().
format(#{level := Level} = Event, Config) ->
    Parent = {maps:get(parent, Config, logger_formatter), maps:remove(parent, Config)},
    case systemd_journal_message:format(Event, Parent) of
        {ok, Text} ->
            try lines(Level, Text)
            catch error:badarg -> lines(Level, systemd_journal_message:bad_return(Event))
            end;
        {failed, Text, _} ->
            lines(Level, Text)
    end.

%% @private
%% @doc The lines of a text, each with the level. Raises `badarg' if it is not chardata.
-spec lines(logger:level(), Text :: term()) -> iolist().
lines(Level, Text) ->
    Prefix = [$<, maps:get(Level, ?PRIORITIES), $>],
    Clean = binary:replace(systemd_journal_message:utf8(Text), <<0>>, <<16#FFFD/utf8>>, [global]),
    Lines = binary:split(string:trim(Clean, trailing, "\n"), <<$\n>>, [global]),
    [[Prefix, Part, $\n] || Line <- Lines, Part <- parts(Line)].

%% written/1 of a character is at most 3.5 times its length in UTF-8.
parts(Line) when 4 * byte_size(Line) =< ?LONGEST ->
    [Line];
parts(Line) ->
    Rest = rest(Line, ?LONGEST),
    Part = binary_part(Line, 0, byte_size(Line) - byte_size(Rest)),
    [Part | [More || Rest =/= <<>>, More <- parts(Rest)]].

%% What is left of a text after as many whole characters as fit.
rest(<<Char/utf8, Rest/binary>> = Text, Room) ->
    case Room - written(Char) of
        Less when Less >= 0 -> rest(Rest, Less);
        _ -> Text
    end;
rest(<<>>, _) -> <<>>.

%% The most bytes that a device writes for a character: in UTF-8, or as `\x{1F30D}' if the device is set to Latin-1. It
%% is set to Latin-1 if the unit sets no locale.
written(Char) when Char < 16#80 -> 1;
written(Char) when Char < 16#100 -> 2;
written(Char) -> length("\\x{}") + length(integer_to_list(Char, 16)).

%% @private
-spec check_config(logger:formatter_config()) -> ok | {error, term()}.
check_config(Config) ->
    Parent = maps:get(parent, Config, logger_formatter),
    case is_atom(Parent) andalso code:ensure_loaded(Parent) of
        {module, Parent} ->
            case erlang:function_exported(Parent, check_config, 1) of
                true -> Parent:check_config(maps:remove(parent, Config));
                false -> ok
            end;
        _ ->
            {error, {invalid_formatter_config, ?MODULE, {parent, Parent}}}
    end.
