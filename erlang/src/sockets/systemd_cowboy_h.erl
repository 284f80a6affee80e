%% @doc A stream handler of Cowboy for keep-alive clients: they lose no request when the service goes down.
%%
%% ```
%% cowboy:start_clear(http, TransportOptions, #{stream_handlers => [systemd_cowboy_h, cowboy_stream_h], env => Env})
%% '''
%%
%% From when shutdown begins, each answer says `connection: close'. The client sends its next request by a new
%% connection, which the next process has: see {@link //systemd/systemd:drainer/2}. Over HTTP/2 it does nothing.
-module(systemd_cowboy_h).

-export([init/3, data/4, info/3, terminate/3, early_error/5]).

%% @private
init(Stream, #{version := Version} = Request, Options) ->
    closing(cowboy_stream:init(Stream, Request, Options), Version).

%% @private
data(Stream, IsFin, Data, {Next, Version}) -> closing(cowboy_stream:data(Stream, IsFin, Data, Next), Version).

%% @private
info(Stream, Info, {Next, Version}) -> closing(cowboy_stream:info(Stream, Info, Next), Version).

%% @private
terminate(Stream, Reason, {Next, _}) -> cowboy_stream:terminate(Stream, Reason, Next).

%% @private
early_error(Stream, Reason, Request, Response, Options) ->
    cowboy_stream:early_error(Stream, Reason, Request, Response, Options).

closing({Commands, Next}, Version) ->
    Closes = Version =/= 'HTTP/2' andalso systemd_lifecycle:is_going_down(),
    {case Closes of true -> [close(Command) || Command <- Commands]; false -> Commands end, {Next, Version}}.

close({response, Status, Headers, Body}) -> {response, Status, Headers#{<<"connection">> => <<"close">>}, Body};
close({headers, Status, Headers}) -> {headers, Status, Headers#{<<"connection">> => <<"close">>}};
close(Command) -> Command.
