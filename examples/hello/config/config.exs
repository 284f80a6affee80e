import Config

# Asked before every WATCHDOG=1.
config :systemd, watchdog_check: {Hello.Health, :well?, []}

config :logger, :console, format: "[$level] $message\n"
