-module(other).

-export([children/0]).

children() -> [systemd:ready()].
