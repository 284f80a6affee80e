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
-module(systemd_kmsg_formatter).

-export([format/2, check_config/1]).

%% @private
-spec format(logger:log_event(), logger:formatter_config()) -> unicode:chardata().
format(#{level := Level} = Event, Config) ->
    Parent = maps:get(parent, Config, logger_formatter),
    Text = Parent:format(Event, maps:remove(parent, Config)),
    Prefix = [$<, priority(Level), $>],
    case unicode:characters_to_binary(Text) of
        Lines when is_binary(Lines) ->
            Trimmed = string:trim(Lines, trailing, "\n"),
            [[Prefix, Line, $\n] || Line <- binary:split(Trimmed, <<$\n>>, [global])];
        _ ->
            [Prefix, Text]
    end.

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
