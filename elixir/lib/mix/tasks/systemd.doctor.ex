defmodule Mix.Tasks.Systemd.Doctor do
  @shortdoc "Checks a systemd unit and the configuration of :systemd"
  @moduledoc """
  Checks what is known before a service runs, and says how to fix what is wrong.

      mix systemd.doctor
      mix systemd.doctor rel/systemd/my_app.service

  It checks whether the native library can be loaded, the config keys of `:systemd` after `config/runtime.exs`, and the
  unit file: its section `[Service]`, and the start limit in `[Unit]`. It does not read drop-ins.

  The exit status is 1 if there is an error or a warning. A `notice` is only a hint.

  `Systemd.doctor/0` checks a running service.
  """
  use Mix.Task

  @requirements ["app.config"]

  @impl true
  def run(args) do
    config = Application.get_all_env(:systemd)
    findings = :systemd_doctor.project(config, unit(args))
    unless :systemd_doctor.report(findings), do: exit({:shutdown, 1})
  end

  defp unit([]), do: %{}

  defp unit([file]) do
    with {:ok, text} <- File.read(file),
         %{} = settings <- :systemd_unit.parse(text) do
      settings
    else
      {:error, :no_service_section} -> Mix.raise("#{file} has no section [Service]")
      {:error, reason} -> Mix.raise("#{file}: #{:file.format_error(reason)}")
    end
  end

  defp unit(_), do: Mix.raise("usage: mix systemd.doctor [UNIT_FILE]")
end
