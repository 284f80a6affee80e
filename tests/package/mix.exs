defmodule Package.MixProject do
  use Mix.Project

  def project do
    [
      app: :package,
      version: "0.0.0",
      elixir: "~> 1.14",
      test_paths: ["."],
      # For its lab.
      deps: [{:live, path: "../live", env: :test}]
    ]
  end

  # The application itself runs in the lab, not here.
  def application, do: [extra_applications: [:logger]]
end
