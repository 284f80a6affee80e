import Config

for {app, env} <- elem(Code.eval_file(System.fetch_env!("PROBE_RUNTIME")), 0),
    do: config(app, env)
