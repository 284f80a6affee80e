defmodule Other do
  @moduledoc false
  def children, do: [:systemd.ready()]
  def incumbent?, do: function_exported?(:systemd, :incumbent, 0)
end
