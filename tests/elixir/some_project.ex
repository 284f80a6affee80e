defmodule SomeProject do
  @moduledoc "A Mix project with some configuration, in a folder."

  def run(dir, config, fun) do
    key = :"some_project_#{System.unique_integer([:positive])}"
    head = "defmodule #{Macro.camelize("#{key}")} do"
    File.write!("#{dir}/mix.exs", "#{head}\n  use Mix.Project\n  def project, do: []\nend\n")
    Mix.Project.in_project(key, dir, config, fn _ -> fun.() end)
  end
end
