import Config

# systemd gets a ping (WATCHDOG=1) only while this returns true.
config :systemd, watchdog_check: {Hello.Health, :well?, []}

# Under systemd, each log line becomes a journal entry with its level and metadata. Elsewhere, log lines go to the
# console.
config :systemd, install_journal: true

# `systemctl reload hello` evaluates config/runtime.exs again.
config :systemd, reload: {Systemd.Reload, :runtime_config, []}

config :logger, :console, format: "[$level] $message $metadata\n", metadata: [:request_id]
