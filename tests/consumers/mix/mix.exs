defmodule Consumer.MixProject do
  use Mix.Project

  def project do
    [
      app: :consumer,
      version: "1.0.0",
      elixir: "~> 1.14",
      deps: [{:systemd, systemd(System.get_env("SYSTEMD_PATH"))}]
    ]
  end

  defp systemd(nil), do: [git: System.fetch_env!("SYSTEMD_GIT")]
  defp systemd(path), do: [path: path]

  def application, do: [mod: {Consumer, []}]
end
