%% A server that says a word to who trusts it, once.
-module(live_tls).
-export([main/1]).

%% The port, and where to write the certificate of who signed its own, for localhost.
main([Port, Path]) ->
    Key = [{key, {namedCurve, secp256r1}}, {digest, sha256}],
    Name = {'Extension', {2, 5, 29, 17}, false, [{dNSName, "localhost"}]},
    Chain = #{root => Key, intermediates => [], peer => Key},
    #{server_config := Server, client_config := Client} = public_key:pkix_test_data(#{
        server_chain => Chain#{peer := [{extensions, [Name]} | Key]}, client_chain => Chain
    }),
    Signers = [{'Certificate', Der, not_encrypted} || Der <- proplists:get_value(cacerts, Client)],
    {ok, _} = application:ensure_all_started(ssl),
    {ok, Listener} = ssl:listen(list_to_integer(Port), [{reuseaddr, true} | Server]),
    ok = file:write_file(Path ++ ".new", public_key:pem_encode(Signers)),
    ok = file:rename(Path ++ ".new", Path),
    {ok, Accepted} = ssl:transport_accept(Listener),
    {ok, Socket} = ssl:handshake(Accepted),
    ok = ssl:send(Socket, "over TLS"),
    ok = ssl:close(Socket),
    halt().
