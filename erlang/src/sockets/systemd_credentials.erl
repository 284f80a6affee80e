%% @private
%% Secrets that the service manager hands over as files, see `LoadCredential=' in systemd.exec(5).
%% Nothing of them is ever logged.
-module(systemd_credentials).

-export([path/1, read/1]).

%% @doc See {@link systemd:credentials/1}.
-spec path(systemd:credential()) -> {ok, file:filename_all()} | {error, file:posix()}.
path(Name) ->
    case {os:getenv("CREDENTIALS_DIRECTORY"), text(Name)} of
        {_, invalid} ->
            {error, einval};
        {false, _} ->
            {error, enoent};
        {Directory, Text} ->
            Path = filename:join(unicode:characters_to_binary(Directory), Text),
            case file:read_file_info(Path, [raw]) of
                {ok, _} -> {ok, Path};
                {error, _} = Error -> Error
            end
    end.

%% @doc See {@link systemd:read_credential/1}.
-spec read(systemd:credential()) -> {ok, binary()} | {error, file:posix()}.
read(Name) ->
    case path(Name) of
        {ok, Path} -> file:read_file(Path);
        {error, _} = Error -> Error
    end.

%% The name of a file in that directory, and no way out of it.
text(Name) when is_atom(Name) -> file_name(atom_to_binary(Name));
text(Name) ->
    try unicode:characters_to_binary(Name) of
        Text when is_binary(Text) -> file_name(Text);
        _ -> invalid
    catch
        error:badarg -> invalid
    end.

file_name(Text) when Text =:= <<>>; Text =:= <<".">>; Text =:= <<"..">> -> invalid;
file_name(Text) ->
    case binary:match(Text, [<<"/">>, <<0>>]) of
        nomatch -> Text;
        _ -> invalid
    end.
