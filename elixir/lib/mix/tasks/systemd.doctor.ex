defmodule Mix.Tasks.Systemd.Doctor do
  @shortdoc "Looks for what is wrong with a systemd unit and the configuration of :systemd"
  @moduledoc """
  Looks at what can be seen before a service runs, and says how to mend what is wrong.

      mix systemd.doctor
      mix systemd.doctor rel/systemd/my_app.service

  That is whether the native library is built and can be loaded; the config keys of `:systemd`, as
  `config/runtime.exs` leaves them; and the section `[Service]` of the unit file, with the limit of starts in `[Unit]`. Its
  drop-ins are not read.

  The exit status is 1 when something is wrong. A `notice` is nothing wrong.

  `Systemd.doctor/0` tells of a service that runs.
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
