defmodule Live.MixProject do
  use Mix.Project

  def project do
    [
      app: :live,
      version: "0.0.0",
      elixir: "~> 1.14",
      erlc_paths: ["service"],
      elixirc_paths: ["support"],
      test_paths: ["."],
      deps: []
    ]
  end

  # The application itself runs in the lab, not here.
  def application, do: [extra_applications: [:logger]]
end
