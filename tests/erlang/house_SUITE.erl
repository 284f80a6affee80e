%% What the modules know of each other.
-module(house_SUITE).
-compile([export_all, nowarn_export_all]).

-include_lib("stdlib/include/assert.hrl").

all() -> [no_circles, nobody_calls_the_public_module, config_is_read_in_one_place, every_wing_has_its_modules].

init_per_suite(Config) ->
    {ok, _} = xref:start(?MODULE, [{xref_mode, modules}]),
    ok = xref:set_default(?MODULE, [{warnings, false}]),
    {ok, Modules} = xref:add_directory(?MODULE, service:ebin()),
    {ok, Calls} = xref:q(?MODULE, "strict ME | AM"),
    [{calls, Calls}, {modules, Modules} | Config].

end_per_suite(_) -> xref:stop(?MODULE).

calls(Config) -> [{From, To} || {From, To} <- proplists:get_value(calls, Config), From =/= To].

no_circles(Config) ->
    Graph = digraph:new(),
    [digraph:add_vertex(Graph, Module) || Call <- calls(Config), Module <- tuple_to_list(Call)],
    [digraph:add_edge(Graph, From, To) || {From, To} <- calls(Config)],
    ?assert(lists:member(systemd_notify, digraph:out_neighbours(Graph, systemd))),
    ?assertEqual([], digraph_utils:cyclic_strong_components(Graph)).

%% But Elixir's, which is its other face.
nobody_calls_the_public_module(Config) ->
    ?assertEqual([], [From || {From, systemd} <- calls(Config), From =/= 'Elixir.Systemd']).

config_is_read_in_one_place(_) ->
    Readers = [filename:basename(File, ".erl") || File <- sources(), reads(File)],
    ?assertEqual(["systemd_config"], Readers).

reads(File) ->
    {ok, Text} = file:read_file(File),
    re:run(Text, "application:get_(all_)?env\\((systemd\\b|\\))") =/= nomatch.

sources() ->
    Source = proplists:get_value(source, systemd:module_info(compile)),
    filelib:wildcard(filename:join(filename:dirname(Source), "**/*.erl")).

%% Their folders are those of docs/architecture.md.
every_wing_has_its_modules(_) ->
    Wings = lists:usort([filename:basename(filename:dirname(File)) || File <- sources()]),
    ?assertEqual(["check", "journal", "lifecycle", "memory", "notify", "sockets", "src", "unit", "watchdog"], Wings).
