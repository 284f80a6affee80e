-module(systemd).

-export([ready/0, incumbent/0]).

ready() -> #{id => ready, start => {?MODULE, incumbent, []}}.

incumbent() -> ignore.
