defmodule Systemd.Check do
  use Systemd.Facade, "watchdog/check/systemd_check.erl"
end
