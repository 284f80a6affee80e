-module(overridden).

-export([children/0]).

children() -> other:children().
