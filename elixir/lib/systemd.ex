defmodule Systemd do
  @moduledoc """
  Makes an Elixir service a first-class daemon of systemd.

      children = [
        MyApp.Endpoint,
        Systemd.drainer("http"),
        Systemd.ready()
      ]

  With `Type=notify` in the unit, `systemctl start` returns when the children before `ready/0` are up. With `WatchdogSec=` in
  the unit, the library pings the watchdog, as long as `config :systemd, watchdog_check: {MyApp.Health, :ok?, []}` passes, if you
  set one. It sends `STOPPING=1` when shutdown begins.

  "Outside of systemd" means that `NOTIFY_SOCKET` was not set when the application started. A function that sends then returns
  `:ok` and does nothing. A function that asks for something returns its empty value, or an error such as
  `{:error, {:no_such_fd, name}}`. You need not guard any call. Under systemd, a send that fails returns `{:error, reason}`, and is
  logged once.

  `listen_opts/2` returns the options to listen with, also in `config/runtime.exs`. For Bandit, and for the `:http` of a Phoenix
  endpoint that runs on it:

      {Bandit, plug: MyPlug, port: port, thousand_island_options: [transport_options: options]}

  For Thousand Island (1.0 or later), and for Plug.Cowboy, also in the `:http` of a Phoenix endpoint:

      {ThousandIsland, handler_module: MyHandler, port: port, transport_options: options}
      {Plug.Cowboy, scheme: :http, plug: MyPlug, port: port, transport_options: [socket_opts: options]}

  For Cowboy and Ranch, with one listening socket, the default:

      :cowboy.start_clear(:http, %{socket_opts: [{:port, port} | options]}, %{env: env})

  The Erlang module `:systemd` has the same functions.
  """

  use Systemd.Facade, "systemd.erl"
end
