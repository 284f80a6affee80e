-module(consumer_levels).

-export([info/0]).

-include_lib("systemd/include/systemd.hrl").

info() -> ?SD_INFO.
