defmodule Hello.Health do
  @moduledoc "The check of the watchdog: see `watchdog_check` in config/config.exs."
  use Agent

  def start_link(_), do: Agent.start_link(fn -> true end, name: __MODULE__)

  @doc "Whether the service works."
  def well?, do: Agent.get(__MODULE__, & &1)

  @doc "Makes `well?/0` return `false` from now on."
  def fall_ill, do: Agent.update(__MODULE__, fn _ -> false end)
end
