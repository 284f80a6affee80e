defmodule Wrong do
  @moduledoc "Calls that Dialyzer warns of, each in a function of its own: see tests/dialyzer."

  def state, do: Systemd.notify(42)
  def watchdog, do: Systemd.watchdog(:never)
  def port, do: Systemd.listen_opts("http", "80")
  def result, do: true = Systemd.notify(:ready)
end
