defmodule Hello.Application do
  @moduledoc "The supervision tree. It is started from the top, and taken down from the bottom."
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      Hello.Health,
      {Task.Supervisor, name: Hello.Requests},
      {Hello.Listener, port: Application.fetch_env!(:hello, :port)},
      :systemd.set_status(down: [status: "drained"]),
      Hello.Drainer,
      :systemd.set_status(down: [status: "draining"]),
      :systemd.ready()
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Hello.Supervisor)
  end
end
