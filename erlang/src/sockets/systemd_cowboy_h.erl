%% @doc A stream handler of Cowboy that closes keep-alive connections in a shutdown, so that clients lose no request.
%%
%% ```
%% cowboy:start_clear(http, TransportOptions, #{stream_handlers => [systemd_cowboy_h, cowboy_stream_h], env => Env})
%% '''
%%
%% While the service stops, the handler adds `connection: close' to each response. The client then sends its next
%% request over a new connection, which the next process of the service accepts: see
%% {@link //systemd/systemd:drainer/2}. The handler does not change HTTP/2 connections, and does nothing outside of
%% systemd.
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
