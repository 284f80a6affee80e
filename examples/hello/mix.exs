defmodule Hello.MixProject do
  use Mix.Project

  def project do
    [
      app: :hello,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      releases: [hello: [include_executables_for: [:unix]]],
      deps: [{:systemd, path: "../.."}]
    ]
  end

  def application, do: [extra_applications: [:logger, :ssl], mod: {Hello.Application, []}]
end
