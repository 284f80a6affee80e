defmodule Bench.MixProject do
  use Mix.Project

  def project do
    [
      app: :bench,
      version: "0.0.0",
      elixir: "~> 1.14",
      erlc_paths: ["service"],
      # For its lab.
      deps: [{:live, path: "../live", env: :test}]
    ]
  end

  # What is measured runs in other VMs, not here.
  def application, do: [extra_applications: [:logger, :sasl]]
end
