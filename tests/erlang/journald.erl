%% A handler of `logger' that sends to a recorder in journald's place.
-module(journald).

-export([add/1, add/2, remove/0, next/1, next/2, value/2]).

-define(HANDLER, journal).

add(Recorder) -> add(Recorder, #{}).

add(Recorder, Config) ->
    ok = logger:add_handler(?HANDLER, systemd_journal_h, #{
        formatter => systemd_journal_config:message_only(),
        %% Nothing but what a test logs.
        filters => [{here, {fun(Event, _) -> here(Event) end, []}}],
        config => Config#{path => recorder:path(Recorder)}
    }).

here(#{meta := #{elsewhere := true}}) -> stop;
here(#{msg := {report, #{label := {application_controller, _}}}}) -> stop;
here(#{msg := {report, #{label := {supervisor, progress}}}}) -> stop;
here(Event) -> Event.

remove() -> logger:remove_handler(?HANDLER).

next(Recorder) -> next(Recorder, 2000).

%% The fields of the next entry.
next(Recorder, Timeout) ->
    case recorder:next(Recorder, Timeout) of
        nothing -> nothing;
        Bytes -> parse(Bytes)
    end.

value(Name, Fields) -> proplists:get_value(Name, Fields).

%% As journald reads them.
parse(<<>>) -> [];
parse(Bytes) ->
    [Line, Rest] = binary:split(Bytes, <<$\n>>),
    case binary:split(Line, <<$=>>) of
        [Name, Value] ->
            [{Name, Value} | parse(Rest)];
        [Name] ->
            <<Size:64/little, Value:Size/binary, $\n, More/binary>> = Rest,
            [{Name, Value} | parse(More)]
    end.
