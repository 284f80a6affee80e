defmodule Probe do
  @moduledoc "A release whose configuration comes from two files that environment variables name."
  use Application

  @impl true
  def start(_type, _args), do: Supervisor.start_link([], strategy: :one_for_one)

  @impl true
  def config_change(changed, new, removed) do
    say({:config_change, changed, new, removed})
  end

  @doc "Reloads after each change to the files, and prints what came of it."
  def run do
    {:ok, _} = Application.ensure_all_started(:probe)
    reload()
    write("PROBE_RUNTIME", "[logger: [level: :error], probe: [deep: [runtime: 2], port: 4001]]")
    write("PROBE_PROVIDED", "2")
    reload()
    write("PROBE_RUNTIME", "[probe: [port: 4002]]; raise \"broken\"")
    reload()
  end

  defp write(variable, text), do: variable |> System.fetch_env!() |> File.write!(text)

  defp reload do
    try do
      say(Systemd.Reload.runtime_config())
    rescue
      error -> say({:raised, Exception.message(error)})
    end

    env = :probe |> Application.get_all_env() |> Keyword.take([:deep, :port, :provided])
    say({Logger.level(), :logger.get_primary_config().level, Enum.sort(env)})
  end

  defp say(term), do: IO.puts("said: " <> inspect(term))
end

defmodule Probe.Provider do
  @moduledoc "What the file holds."
  @behaviour Config.Provider

  @impl true
  def init(variable), do: variable

  @impl true
  def load(config, variable) do
    provided = variable |> System.fetch_env!() |> File.read!()
    Config.Reader.merge(config, probe: [provided: provided])
  end
end
