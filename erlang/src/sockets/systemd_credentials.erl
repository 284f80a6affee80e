%% @private
%% Reads secrets that systemd passes as files, see `LoadCredential=' in systemd.exec(5). Never logs them.
-module(systemd_credentials).

-export([path/1, read/1]).

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

read(Name) ->
    case path(Name) of
        {ok, Path} -> file:read_file(Path);
        {error, _} = Error -> Error
    end.

%% Accepts the name of a file in that directory, but no path.
text(Name) when is_atom(Name) -> text(atom_to_binary(Name));
text(Name) ->
    try
        <<_, _/binary>> = Text = unicode:characters_to_binary(Name),
        nomatch = re:run(Text, "^\\.\\.?$|[/\\0]", [dollar_endonly]),
        Text
    catch
        error:_ -> invalid
    end.
