import Config

config :hello, port: String.to_integer(System.get_env("PORT", "4000"))

# The operator may put a greeting of their own here, and `systemctl reload hello`.
file = System.get_env("GREETING_FILE", "/etc/hello/greeting")
config :hello, greeting: if(File.exists?(file), do: File.read!(file), else: "hello\n")
