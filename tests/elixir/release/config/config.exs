import Config

config :logger, level: :info
config :probe, deep: [static: 1]
