defmodule Systemd.Reload do
  @moduledoc """
  Evaluates the runtime configuration of an Elixir release again for `systemctl reload`, without a restart.

      # config/config.exs
      config :systemd, reload: {Systemd.Reload, :runtime_config, []}

      # config/runtime.exs
      config :my_app, greeting: File.read!("/etc/my_app/greeting")

  After a reload, `Application.fetch_env!(:my_app, :greeting)` returns what the file contains now. If your
  code keeps a value for longer, the callback module of the application learns of the change:

      @impl true
      def config_change(changed, _new, _removed) do
        if greeting = changed[:greeting], do: MyApp.Greeter.greet_with(greeting)
        :ok
      end

  Read what a reload can change from files. Environment variables and the unit's credentials stay
  those with which the service was started.
  """

  @doc """
  Evaluates the release's `sys.config` and its config providers, such as `config/runtime.exs`, and
  applies what differs from the application environment.

  Returns `{:ok, "nothing has changed"}`, or the names of the changed keys without their values:
  `{:ok, "changed logger: level; my_app: greeting, port"}`.

  First it evaluates all of the configuration. Then the values replace those in the application
  environment, even if code has put them there. Then it calls `c:Application.config_change/3` of each
  running application with a changed key, and calls dependencies first.

    * A key that is no longer configured keeps its value, because code may have put it there. So
      `removed` is always empty.
    * Of its keys, Logger applies a changed `level`, but not one that is new.
    * What `Application.compile_env/3` has read does not change. If such a key has changed, the release
      does not start again.
    * `:kernel` and `:stdlib` are left out, because they read their keys when the VM starts.
    * With `reboot_system_after_config: true`, this reads the release's own `sys.config`, even if
      `RELEASE_SYS_CONFIG` named another file when the release started.

  ## Errors

  An exception in a provider is raised again. Outside of a release, as in `iex -S mix`, and if
  `sys.config` can't be read, this returns `{:error, text}`. In these cases it applies nothing.

  If a `config_change/3` raises or does not return `:ok`, that is logged, and the others are still called.
  The values stay, and the result is `{:error, text}` with the application's name.

  It works outside of systemd too.
  """
  @spec runtime_config() :: {:ok, String.t()} | {:error, String.t()}
  def runtime_config do
    with {:ok, path} <- sys_config(),
         {:ok, config} <- consult(path) do
      config |> run_providers() |> changes() |> apply_changes()
    end
  end

  # Elixir sets this undocumented key at a boot with `reboot_system_after_config: true`. The release's script
  # has then set RELEASE_SYS_CONFIG to a copy, which contains the results of the providers or is deleted already.
  defp sys_config do
    rebooted = Application.get_env(:elixir, :config_provider_booted)

    case System.get_env() do
      %{"RELEASE_ROOT" => root, "RELEASE_VSN" => version} when rebooted != nil ->
        {:ok, Path.join([root, "releases", version, "sys.config"])}

      %{"RELEASE_SYS_CONFIG" => path} ->
        {:ok, path <> ".config"}

      %{} ->
        {:error,
         "Systemd.Reload needs a release that its own script has started: " <>
           "elsewhere, name a function of yours in `config :systemd, reload: ...`"}
    end
  end

  defp consult(path) do
    case :file.consult(path) do
      {:ok, [config]} -> {:ok, config}
      {:ok, _} -> {:error, "#{path} is not one term"}
      {:error, reason} -> {:error, "#{path}: #{:file.format_error(reason)}"}
    end
  end

  # Mix puts the providers into sys.config, with what their init/1 has returned. Neither this key nor the
  # struct is documented.
  defp run_providers(config) do
    {init, config} = pop_in(config, [:elixir, :config_provider_init])
    providers = if init, do: init.providers, else: []
    Enum.reduce(providers, config, fn {module, state}, config -> module.load(config, state) end)
  end

  defp changes(config) do
    for {app, env} <- Enum.sort(Keyword.drop(config, [:kernel, :stdlib])),
        changed = for({k, v} <- env, Application.fetch_env(app, k) !== {:ok, v}, do: {k, v}),
        changed != [],
        do: {app, Enum.sort(changed)}
  end

  defp apply_changes([]), do: {:ok, "nothing has changed"}

  defp apply_changes(changes) do
    # The application that was started last is listed first. No documentation says so.
    calls =
      for {app, _, _} <- Enum.reverse(Application.started_applications()),
          env = changes[app],
          {module, _} <- [Application.spec(app, :mod)],
          function_exported?(module, :config_change, 3) do
        {changed, new} =
          Enum.split_with(env, fn {k, _} -> Application.fetch_env(app, k) != :error end)

        {app, module, changed, new}
      end

    Application.put_all_env(changes, persistent: true)

    text =
      "changed " <>
        Enum.map_join(changes, "; ", fn {app, env} -> "#{name(app)}: #{names(env)}" end)

    case for({app, _, _, _} = call <- calls, not config_change(call), do: {app, call}) do
      [] -> {:ok, text}
      failed -> {:error, "#{text}; config_change/3 failed: #{names(failed)}"}
    end
  end

  defp config_change({app, module, changed, new}) do
    :ok = module.config_change(changed, new, [])
    true
  catch
    kind, reason ->
      failure = Exception.format(kind, reason, __STACKTRACE__)
      :logger.error("systemd: config_change/3 of ~ts failed: ~ts", [name(app), failure])
      false
  end

  defp names(keyword), do: Enum.map_join(keyword, ", ", fn {key, _} -> name(key) end)

  defp name(atom), do: atom |> inspect() |> String.trim_leading(":")
end
