defmodule Overridden.MixProject do
  use Mix.Project

  def project do
    [
      app: :overridden,
      version: "1.0.0",
      deps: [
        {:systemd,
         [git: System.fetch_env!("SYSTEMD_GIT")] ++ override(System.get_env("OVERRIDE"))},
        {:other, path: "../mix_other"}
      ]
    ]
  end

  defp override(nil), do: []
  defp override(_), do: [override: true]
end
