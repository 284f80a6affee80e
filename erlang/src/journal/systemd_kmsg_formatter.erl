%% @doc A formatter of `logger' for handlers that write to the journal through standard output or
%% standard error: puts the level as `<N>' before each line that the parent formatter makes, as
%% sd-daemon(3) describes it, so that `journalctl -p' knows the level.
%%
%% ```
%% #{formatter => {systemd_kmsg_formatter, #{parent => logger_formatter, single_line => true}}}
%% '''
%%
%% `parent' is `logger_formatter' by default. The other options are the parent's.
%%
%% The application puts it by itself into handlers of `logger_std_h' whose stream is the journal,
%% unless the config key `install_kmsg' is `false'. A message of several lines is as many entries;
%% {@link //systemd/systemd_journal_h} makes one of it.
%%
%% A line of more than 48 KiB, the default of `LineMax=' in journald.conf(5), is cut into parts that are no longer, each
%% with its level. NUL, which ends a line for journald, and bytes that are no UTF-8 become U+FFFD. With
%% `SyslogLevelPrefix=no' in the unit journald shows the prefixes as text: remove that line, or set `install_kmsg'
%% to `false'.
-module(systemd_kmsg_formatter).

-export([format/2, check_config/1, lines/2]).

%% With the prefix of three bytes and the newline: 48 KiB.
-define(LONGEST, 48 * 1024 - 4).

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
%% @doc The lines of a text, each with the level. Raises `badarg' where it is no chardata.
-spec lines(logger:level(), Text :: term()) -> iolist().
lines(Level, Text) ->
    Prefix = [$<, priority(Level), $>],
    Clean = binary:replace(systemd_journal_message:utf8(Text), <<0>>, <<16#FFFD/utf8>>, [global]),
    Lines = binary:split(string:trim(Clean, trailing, "\n"), <<$\n>>, [global]),
    [[Prefix, Part, $\n] || Line <- Lines, Part <- parts(Line)].

%% No character takes more than 3.5 times its bytes in UTF-8.
parts(Line) when 4 * byte_size(Line) =< ?LONGEST ->
    [Line];
parts(Line) ->
    {Part, Rest} = split_binary(Line, fits(Line, 0, ?LONGEST)),
    [Part | [More || Rest =/= <<>>, More <- parts(Rest)]].

%% How many bytes of a text fit, by whole characters.
fits(Text, At, Room) ->
    case Text of
        <<_:At/binary, Char/utf8, _/binary>> ->
            case Room - written(Char) of
                Less when Less >= 0 -> fits(Text, At + byte_size(<<Char/utf8>>), Less);
                _ -> At
            end;
        _ ->
            At
    end.

%% In UTF-8, or by a device that is set to Latin-1, which writes `\x{1F30D}'. That is what a VM has whose unit sets no
%% locale.
written(Char) when Char < 16#80 -> 1;
written(Char) when Char < 16#100 -> 2;
written(Char) when Char < 16#1000 -> 7;
written(Char) when Char < 16#10000 -> 8;
written(Char) when Char < 16#100000 -> 9;
written(_) -> 10.

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

priority(emergency) -> $0;
priority(alert) -> $1;
priority(critical) -> $2;
priority(error) -> $3;
priority(warning) -> $4;
priority(notice) -> $5;
priority(info) -> $6;
priority(debug) -> $7.
