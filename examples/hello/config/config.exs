import Config

# Asked before every WATCHDOG=1.
config :systemd, watchdog_check: {Hello.Health, :well?, []}

# Under systemd every log line is an entry in the journal, with its level and its metadata. On a
# laptop the console shows it, as it does anyway.
config :systemd, install_journal: true

# `systemctl reload hello` evaluates config/runtime.exs again.
config :systemd, reload: {Systemd.Reload, :runtime_config, []}

config :logger, :console, format: "[$level] $message $metadata\n", metadata: [:request_id]
