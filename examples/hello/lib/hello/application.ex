defmodule Hello.Application do
  @moduledoc "The supervision tree. Children start in this order, and stop in reverse order."
  use Application

  @impl true
  def start(_type, _args) do
    port = Application.fetch_env!(:hello, :port)

    children = [
      Hello.Health,
      {Task.Supervisor, name: Hello.Requests},
      {Hello.Listener, port: port},
      :systemd.drainer(["http", port: port]),
      :systemd.ready()
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Hello.Supervisor)
  end
end
