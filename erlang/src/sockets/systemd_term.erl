%% @private
%% State that outlives the process, in the service manager's descriptor store.
-module(systemd_term).

-export([store/2, fetch/1]).

%% @doc See {@link systemd:store_term/2}.
-spec store(systemd:fd_name(), term()) -> ok | {error, systemd:reason()}.
store(Name, Term) ->
    systemd_notify:under_systemd(store_term, fun(Notifier, Millis) ->
        case {systemd_nif:fd_name(Name), systemd_fd_store:admits(1)} of
            {{error, _} = Error, _} ->
                Error;
            {_, {error, _} = Error} ->
                Error;
            {{ok, FdName}, ok} ->
                systemd_wait:reply(systemd_nif:store_term(Notifier, FdName, term_to_binary(Term), Millis))
        end
    end).

%% @doc See {@link systemd:fetch_term/1}.
-spec fetch(systemd:fd_name()) -> {ok, term()} | {error, systemd:reason()}.
fetch(Name) ->
    case systemd_nif:loaded() andalso systemd_nif:fd_name(Name) of
        false -> {error, {no_such_fd, Name}};
        {error, _} = Error -> Error;
        {ok, FdName} ->
            case systemd_nif:fetch_term(FdName) of
                {ok, Bytes} -> decode(Name, Bytes);
                undefined -> {error, {no_such_fd, Name}};
                {error, _} = Error -> Error
            end
    end.

%% Not every writer of such a file need be this module.
decode(Name, Bytes) ->
    try
        {ok, binary_to_term(Bytes)}
    catch
        error:badarg -> {error, {no_such_fd, Name}}
    end.
