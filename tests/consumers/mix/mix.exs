defmodule Consumer.MixProject do
  use Mix.Project

  def project do
    [
      app: :consumer,
      version: "1.0.0",
      elixir: "~> 1.14",
      deps: [{:systemd, git: System.fetch_env!("SYSTEMD_GIT")}]
    ]
  end

  def application, do: [mod: {Consumer, []}]
end
