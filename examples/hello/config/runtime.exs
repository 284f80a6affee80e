import Config

config :hello, port: String.to_integer(System.get_env("PORT", "4000"))

# To change the greeting, edit this file and run `systemctl reload hello`.
file = System.get_env("GREETING_FILE", "/etc/hello/greeting")
config :hello, greeting: if(File.exists?(file), do: File.read!(file), else: "hello\n")
