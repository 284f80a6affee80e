%% @private
%% Explains errors: what happened, and which setting or config key to look at.
-module(systemd_reason).

-export([explain/1, explain_start/1, is_temporary/1, posix/1]).

-spec explain(systemd:reason() | file:posix()) -> io_lib:chars().
explain(nif_not_loaded) ->
    ["the native library is not loaded: ", systemd_nif:load_error()];
explain(not_started) ->
    "NOTIFY_SOCKET is set, and the application systemd is not running. Add systemd to applications in the .app.src of "
    "your application, or in Mix to its deps without runtime: false, and not to included_applications";
explain({invalid_notify_socket, Value}) ->
    io_lib:format("NOTIFY_SOCKET=~0tp is not an absolute path, @abstract name or vsock:CID:PORT, or is too long", [Value]);
explain({invalid_state, _}) ->
    "it is not a systemd:state()";
explain({invalid_value, Key}) ->
    io_lib:format("the value of ~0tP breaks a rule of sd_notify(3)", [systemd_elixir:redacted(Key), 20]);
explain(bad_descriptor) ->
    "one of the descriptors is not open";
explain({invalid_fd_name, _}) ->
    "a descriptor's name must have 1 to 255 printable ASCII characters, and no colon";
explain({fd_store_max, Most}) ->
    io_lib:format("the unit may store no more than ~b descriptors: see FileDescriptorStoreMax=", [Most]);
explain(emsgsize) ->
    "it is longer than 4096 bytes, the most that systemd reads";
explain(eagain) ->
    "systemd has not read its notifications for 2000 ms";
explain(no_thread) ->
    "no thread could be started to wait for systemd. See TasksMax= and LimitNPROC= in the unit";
explain(etimedout) ->
    "systemd has not processed the earlier notifications in time";
explain(Reason) when Reason =:= enoent; Reason =:= econnrefused ->
    [posix(Reason), ": nobody listens on NOTIFY_SOCKET"];
explain(Reason) when is_atom(Reason) ->
    posix(Reason);
explain(Reason) ->
    io_lib:format("~0tp", [Reason]).

%% @doc Whether threads, descriptors or memory are short, so that another attempt may succeed.
-spec is_temporary(term()) -> boolean().
is_temporary(Reason) -> lists:member(Reason, [eagain, emfile, enfile, enomem, enobufs]).

%% @doc Explains why a thread or process could not be started. Here `eagain' does not mean a full socket buffer.
-spec explain_start(systemd:reason() | file:posix()) -> io_lib:chars().
explain_start(eagain) ->
    [text(eagain), ": the limit of threads and processes is reached. See TasksMax= and LimitNPROC= in the unit"];
explain_start(Reason) -> explain(Reason).

%% @doc Explains an error of the kernel, with the limit in the unit that may cause it.
-spec posix(no_thread | file:posix()) -> io_lib:chars().
posix(no_thread) -> explain(no_thread);
posix(emfile) -> [text(emfile), ": see LimitNOFILE= in the unit"];
posix(enfile) -> [text(enfile), ": see fs.file-max in sysctl.d(5)"];
posix(enomem) -> [text(enomem), ": see MemoryMax= in the unit"];
posix(Reason) -> text(Reason).

text(Reason) -> io_lib:format("~ts (~ts)", [file:format_error(Reason), Reason]).
