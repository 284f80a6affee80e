defmodule Incumbent.MixProject do
  use Mix.Project

  def project, do: [app: :systemd, version: "0.6.1"]
end
