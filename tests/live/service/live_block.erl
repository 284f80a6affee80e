%% A NIF that does what none should: it blocks its scheduler.
-module(live_block).
-export([block/1]).
-on_load(load/0).

load() -> erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), "../priv/live_block"), 0).

block(_Millis) -> erlang:nif_error(not_loaded).
