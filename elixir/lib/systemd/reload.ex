defmodule Systemd.Reload do
  @moduledoc """
  `systemctl reload` for Elixir releases: evaluates the runtime configuration again, without a restart.

      # config/config.exs
      config :systemd, reload: {Systemd.Reload, :runtime_config, []}

      # config/runtime.exs
      config :my_app, greeting: File.read!("/etc/my_app/greeting")

  After a reload `Application.fetch_env!(:my_app, :greeting)` is what the file holds now. Code that
  keeps a value for longer is told by the application's callback module:

      @impl true
      def config_change(changed, _new, _removed) do
        if greeting = changed[:greeting], do: MyApp.Greeter.greet_with(greeting)
        :ok
      end

  What a reload can change is best read from files: the environment variables, and the unit's
  credentials, are those that the service was started with.
  """

  @doc """
  Evaluates the release's `sys.config` and its config providers, of which `config/runtime.exs` is one,
  and applies what differs from the application environment.

  Returns `{:ok, "nothing has changed"}`, or the names of the keys that have, and no values:
  `{:ok, "changed logger: level; my_app: greeting, port"}`.

  When all of it is evaluated, the values replace those in the application environment, also where
  code has put them. Then `c:Application.config_change/3` is called for each running application
  concerned, those that others depend on first.

    * A key that is no longer configured keeps its value, as nobody can tell it from one that code has
      put: `removed` is always empty.
    * Of its keys, Logger heeds a changed `level`, and not one where there was none.
    * What `Application.compile_env/3` has read stays as it is, and a release in which such a key has
      changed does not start again.
    * `:kernel` and `:stdlib` are left out: they read their keys when the VM starts.
    * With `reboot_system_after_config: true` the release's own `sys.config` is read, even where
      `RELEASE_SYS_CONFIG` named another one at the start.

  ## Errors

  What a provider raises is raised, and `{:error, text}` is returned outside of a release, as in
  `iex -S mix`, and where `sys.config` can't be read. Nothing is applied then.

  A `config_change/3` that raises, or returns anything but `:ok`, is logged. The others are called, the
  values stay, and the result is `{:error, text}` with the application's name.
  """
  @spec runtime_config() :: {:ok, String.t()} | {:error, String.t()}
  def runtime_config do
    with {:ok, path} <- sys_config(),
         {:ok, config} <- consult(path) do
      config |> run_providers() |> changes() |> apply_changes()
    end
  end

  # After a boot with `reboot_system_after_config: true`, of which Elixir keeps this undocumented mark,
  # RELEASE_SYS_CONFIG is what the script made of it: a copy that has the providers' results in it, or
  # has been deleted.
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

  # Mix puts the providers, with what their init/1 returned, into sys.config. Neither that key nor the
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
    # What was started last is listed first, though no documentation says so.
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
