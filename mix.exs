defmodule Mix.Tasks.Compile.SystemdNif do
  @moduledoc false
  use Mix.Task.Compiler

  @script Path.join(__DIR__, "native/build.sh")

  @impl true
  def run(_args) do
    case Mix.shell().cmd(@script) do
      0 -> :ok
      _ -> {:error, []}
    end
  end
end

defmodule Systemd.MixProject do
  use Mix.Project

  # The application's metadata has one place, which rebar3 reads too.
  @app_src Path.join(__DIR__, "erlang/systemd.app.src")
  @external_resource @app_src
  {:ok, [{:application, :systemd, properties}]} = :file.consult(@app_src)
  @properties properties

  def project do
    [
      app: :systemd,
      version: to_string(@properties[:vsn]),
      description: to_string(@properties[:description]),
      elixir: "~> 1.14",
      compilers: [:systemd_nif | Mix.compilers()],
      erlc_paths: ["erlang/src"],
      erlc_options: [:debug_info],
      elixirc_paths: ["elixir/lib"],
      test_paths: ["tests/elixir"],
      deps: []
    ]
  end

  def application do
    @properties
    |> Keyword.take([:mod, :env, :registered])
    # Logger first, where there is one: its handler is then there for `install_journal`.
    |> Keyword.put(:extra_applications, @properties[:applications] ++ [logger: :optional])
  end
end
