defmodule Systemd.ReloadTest do
  use ExUnit.Case

  import Systemd.Reload, only: [runtime_config: 0]

  # Application callback modules. `started_first` is the one that the other needs.
  for name <- [StartedFirst, StartedSecond] do
    defmodule name do
      use Application

      @impl true
      def start(_type, _args), do: Supervisor.start_link([], strategy: :one_for_one)

      @impl true
      def config_change(changed, new, removed) do
        send(self(), {__MODULE__, changed, new, removed})
        if fun = new[:then], do: fun.(), else: :ok
      end
    end
  end

  setup do
    folder = Path.join(System.tmp_dir!(), "reload-#{System.pid()}")
    File.mkdir_p!(folder)
    %{level: level} = :logger.get_primary_config()
    :logger.set_primary_config(:level, :none)

    on_exit(fn ->
      File.rm_rf!(folder)
      :logger.set_primary_config(:level, level)

      for app <- [:started_first, :started_second, :not_running],
          {key, _} <- Application.get_all_env(app),
          do: Application.delete_env(app, key, persistent: true)
    end)

    {:ok, folder: folder}
  end

  # What the script of a release sets, for a sys.config in the folder, whose provider is runtime.exs.
  defp release(folder, config) do
    runtime = Path.join(folder, "runtime.exs")
    init = %Config.Provider{providers: [{Config.Reader, Config.Reader.init(runtime)}]}
    config = Config.Reader.merge(config, elixir: [config_provider_init: init])
    File.write!(Path.join(folder, "sys.config"), :io_lib.format("~tp.~n", [config]))
    runtime(folder, "")
    System.put_env("RELEASE_SYS_CONFIG", Path.join(folder, "sys"))
    on_exit(fn -> System.delete_env("RELEASE_SYS_CONFIG") end)
  end

  defp runtime(folder, text),
    do: File.write!(Path.join(folder, "runtime.exs"), "import Config\n" <> text)

  defp start(app, module, needs \\ []) do
    needs = [:kernel, :stdlib | needs]
    spec = [applications: needs, mod: {module, []}, env: [built_in: 1]]
    :ok = :application.load({:application, app, spec})
    :ok = Application.start(app)

    on_exit(fn ->
      Application.stop(app)
      Application.unload(app)
    end)
  end

  test "applies what differs and tells the running applications, first those that others need",
       %{folder: folder} do
    start(:started_first, StartedFirst)
    start(:started_second, StartedSecond, [:started_first])

    release(folder,
      started_first: [built_in: 1, deep: [a: 1, b: [c: 2]]],
      started_second: [built_in: 1.0],
      not_running: [key: 1]
    )

    assert runtime_config() ==
             {:ok, "changed not_running: key; started_first: deep; started_second: built_in"}

    assert Process.info(self(), :messages) ==
             {:messages,
              [
                {StartedFirst, [], [deep: [a: 1, b: [c: 2]]], []},
                {StartedSecond, [built_in: 1.0], [], []}
              ]}

    assert Application.fetch_env!(:not_running, :key) == 1
    assert runtime_config() == {:ok, "nothing has changed"}

    runtime(folder, "config :started_first, [{:deep, [b: [d: 3]]}, {Some.Module, 1}]")
    assert runtime_config() == {:ok, "changed started_first: Some.Module, deep"}
    deep = [a: 1, b: [c: 2, d: 3]]
    assert_received {StartedFirst, [deep: ^deep], [{Some.Module, 1}], []}
    assert Application.fetch_env!(:started_first, :deep) == deep

    # Nobody knows who has put what is not configured.
    runtime(folder, "")
    assert runtime_config() == {:ok, "changed started_first: deep"}
    assert Application.fetch_env!(:started_first, Some.Module) == 1

    # Persistent: it is still there when the application is loaded again.
    :ok = Application.stop(:started_second)
    :ok = Application.unload(:started_second)
    start(:started_second, StartedSecond)
    assert Application.fetch_env!(:started_second, :built_in) === 1.0
  end

  test "functions have changed only if they differ", %{folder: folder} do
    release(folder, [])
    runtime(folder, "n = 1; config :not_running, fun: fn -> n end, capture: &String.length/1")
    assert runtime_config() == {:ok, "changed not_running: capture, fun"}
    assert runtime_config() == {:ok, "nothing has changed"}
    runtime(folder, "n = 2; config :not_running, fun: fn -> n end, capture: &String.length/1")
    assert runtime_config() == {:ok, "changed not_running: fun"}
    assert Application.fetch_env!(:not_running, :fun).() == 2
  end

  test "leaves Elixir's own keys, :kernel and :stdlib alone", %{folder: folder} do
    release(folder, kernel: [reload_test: 1], stdlib: [reload_test: 1])
    assert runtime_config() == {:ok, "nothing has changed"}
    assert Application.fetch_env(:elixir, :config_provider_init) == :error
    assert Application.fetch_env(:kernel, :reload_test) == :error
  end

  test "applies nothing when a provider raises", %{folder: folder} do
    release(folder, not_running: [key: 1])
    runtime(folder, "config :not_running, other: 2\nraise \"no\"")
    assert_raise RuntimeError, "no", &runtime_config/0
    assert Application.get_all_env(:not_running) == []
  end

  test "a config_change/3 that fails is named, and the others are called", %{folder: folder} do
    start(:started_first, StartedFirst)
    start(:started_second, StartedSecond)
    release(folder, [])

    for code <- ["raise \"secret\"", "exit(:secret)", "throw(:secret)", "{:error, :secret}"] do
      Application.delete_env(:started_first, :then)

      runtime(folder, """
      config :started_first, then: fn -> #{code} end
      config :started_second, n: #{inspect(code)}
      """)

      assert runtime_config() ==
               {:error,
                "changed started_first: then; started_second: n; " <>
                  "config_change/3 failed: started_first"}

      assert_received {StartedSecond, _, _, []}
      assert Application.fetch_env!(:started_second, :n) == code
    end
  end

  test "without a release, and where sys.config can't be read", %{folder: folder} do
    assert {:error, "Systemd.Reload needs a release" <> _} = runtime_config()

    release(folder, [])
    sys_config = Path.join(folder, "sys.config")
    File.write!(sys_config, "")
    assert runtime_config() == {:error, "#{sys_config} is not one term"}
    File.write!(sys_config, "[")
    assert {:error, text} = runtime_config()
    assert text =~ sys_config
    File.rm!(sys_config)
    assert runtime_config() == {:error, "#{sys_config}: no such file or directory"}
  end
end
