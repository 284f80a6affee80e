defmodule Systemd do
  @moduledoc """
  Makes an Elixir service a first-class daemon of systemd.

      children = [
        MyApp.Endpoint,
        Systemd.drainer("http"),
        Systemd.ready()
      ]

  With `Type=notify` in the unit, `systemctl start` then returns when the children before
  `ready/0` are up. With `WatchdogSec=` the watchdog runs by itself, and asks the function of
  `config :systemd, watchdog_check: {MyApp.Health, :ok?, []}`, if there is one. `STOPPING=1` is
  sent by itself when shutdown begins.

  Not under systemd, that is without `NOTIFY_SOCKET` in the environment when the application
  starts, every function is a cheap no-op that returns `:ok` or its empty value. Nobody needs to
  guard a call. Under systemd, what can't be sent is `{:error, reason}`, and logged once.

  `listen_opts/2` gives the options to listen with, also in `config/runtime.exs`. With Bandit, and in the `:http` of a
  Phoenix endpoint that runs on it:

      {Bandit, plug: MyPlug, port: port, thousand_island_options: [transport_options: options]}

  Thousand Island (1.0 or later) alone, and Plug.Cowboy, also in the `:http` of a Phoenix endpoint:

      {ThousandIsland, handler_module: MyHandler, port: port, transport_options: options}
      {Plug.Cowboy, scheme: :http, plug: MyPlug, port: port, transport_options: [socket_opts: options]}

  Cowboy and Ranch alone, one of whose listening sockets is all that one descriptor can be:

      :cowboy.start_clear(:http, %{socket_opts: [{:port, port} | options]}, %{env: env})

  The Erlang module `:systemd` has the same functions.
  """

  use Systemd.Facade, "systemd.erl"
end
