%% A datagram socket in the manager's place, that records the exact bytes.
-module(recorder).

-export([start/0, start/1, stop/1, path/1, next/1, next/2, all/1, all_with_fds/1, file/1, drain/1, buffer/2, fill/1]).

-record(recorder, {path, socket}).

start() ->
    Name = io_lib:format("/tmp/systemd-~s-~b", [os:getpid(), erlang:unique_integer([positive])]),
    start(lists:flatten(Name)).

%% A path, or "@name".
start(Path) ->
    {ok, Socket} = socket:open(local, dgram),
    ok = socket:bind(Socket, #{family => local, path => sun_path(Path)}),
    #recorder{path = Path, socket = Socket}.

sun_path("@" ++ Name) -> [0 | Name];
sun_path(Path) -> Path.

stop(#recorder{path = Path, socket = Socket}) ->
    _ = file:delete(Path),
    socket:close(Socket).

path(#recorder{path = Path}) -> Path.

next(Recorder) -> next(Recorder, 2000).

next(#recorder{socket = Socket}, Timeout) ->
    case socket:recv(Socket, 0, Timeout) of
        {ok, Bytes} -> Bytes;
        {error, timeout} -> nothing
    end.

%% What came so far.
all(Recorder) ->
    case next(Recorder, 0) of
        nothing -> [];
        Bytes -> [Bytes | all(Recorder)]
    end.

%% What came so far, each with the files whose descriptors came with it.
all_with_fds(#recorder{socket = Socket} = Recorder) ->
    case socket:recvmsg(Socket, 4096, 4096, [], 0) of
        {ok, #{iov := Iov, ctrl := Ctrl}} ->
            Fds = [Fd || #{type := rights, data := Data} <- Ctrl, <<Fd:32/native>> <= Data],
            [{iolist_to_binary(Iov), [file(Fd) || Fd <- Fds]} | all_with_fds(Recorder)];
        {error, timeout} ->
            []
    end.

%% What a descriptor of this process is open on: unlike its number, another one of it has the same.
file(Fd) ->
    {ok, Link} = file:read_link_all("/proc/self/fd/" ++ integer_to_list(Fd)),
    Link.

%% Reads until it is stopped.
drain(#recorder{socket = Socket} = Recorder) ->
    spawn_link(fun Read() ->
        case socket:recv(Socket) of
            {ok, _} -> Read();
            {error, closed} -> Recorder
        end
    end).

%% Room for larger datagrams than usual.
buffer(#recorder{socket = Socket}, Bytes) -> ok = socket:setopt(Socket, {otp, rcvbuf}, Bytes).

%% Until there is no room for anybody: one socket may be at its own limit before.
fill(#recorder{path = Path} = Recorder) ->
    {ok, Socket} = socket:open(local, dgram),
    ok = socket:connect(Socket, #{family => local, path => sun_path(Path)}),
    Sent = fill_by(Socket, 0),
    ok = socket:close(Socket),
    Sent =:= 0 orelse fill(Recorder).

fill_by(Socket, Sent) ->
    case socket:send(Socket, <<"X_FULL=1\n">>, [], 0) of
        ok -> fill_by(Socket, Sent + 1);
        {error, timeout} -> Sent
    end.
