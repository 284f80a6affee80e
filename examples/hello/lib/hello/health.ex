defmodule Hello.Health do
  @moduledoc "What the watchdog asks: see `watchdog_check` in config/config.exs."
  use Agent

  def start_link(_), do: Agent.start_link(fn -> true end, name: __MODULE__)

  @doc "Whether the service does its work."
  def well?, do: Agent.get(__MODULE__, & &1)

  @doc "From now on it doesn't."
  def fall_ill, do: Agent.update(__MODULE__, fn _ -> false end)
end
