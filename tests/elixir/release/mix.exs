defmodule Probe.MixProject do
  use Mix.Project

  def project do
    providers = [config_providers: [{Probe.Provider, "PROBE_PROVIDED"}]]
    reboot = [reboot_system_after_config: true] ++ providers

    [
      app: :probe,
      version: "1.0.0",
      elixir: "~> 1.14",
      deps: [{:systemd, path: "../../.."}],
      releases: [
        plain: providers,
        rebooted: reboot,
        pruned: [prune_runtime_sys_config_after_boot: true] ++ reboot
      ]
    ]
  end

  def application, do: [extra_applications: [:logger], mod: {Probe, []}]
end
