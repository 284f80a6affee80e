defmodule Other.MixProject do
  use Mix.Project

  # In the place of the hex package, which a test can't download.
  def project do
    [app: :other, version: "1.0.0", deps: [{:systemd, "~> 0.6", path: "../incumbent"}]]
  end
end
