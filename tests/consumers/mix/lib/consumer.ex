defmodule Consumer do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args), do: Supervisor.start_link([:systemd.ready()], strategy: :one_for_one)
end
