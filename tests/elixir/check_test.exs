defmodule Systemd.CheckTest do
  use ExUnit.Case

  setup do
    %{level: level} = :logger.get_primary_config()
    :logger.set_primary_config(:level, :none)
    on_exit(fn -> :logger.set_primary_config(:level, level) end)
  end

  defp run(check) do
    case checked(check) do
      true -> true
      {:failed, _, text, _} -> IO.chardata_to_string(text)
    end
  end

  defp checked(check) do
    table = :ets.new(:state, [:public, keypos: 2])
    check |> :systemd_check_run.prepare() |> :systemd_check_run.run(table, & &1)
  end

  def well?, do: true
  def unwell?, do: raise("no\nbody")
  def illegible?, do: raise(<<255>>)

  test "has every function that makes a check, documented and typed" do
    ours = for {_, _} = function <- Systemd.Check.__info__(:functions), do: function
    private = [is_check: 1, fault: 1, name: 1, name_of: 1, module_info: 0, module_info: 1]
    assert Enum.sort(ours) == Enum.sort(:systemd_check.module_info(:exports) -- private)

    {:docs_v1, _, :elixir, "text/markdown", %{"en" => moduledoc}, _, docs} =
      Code.fetch_docs(Systemd.Check)

    {:ok, specs} = Code.Typespec.fetch_specs(Systemd.Check)
    assert Enum.sort(for {function, _} <- specs, do: function) == Enum.sort(ours)

    for {{:function, name, _}, _, _, doc, _} <- docs do
      assert is_map(doc)
      assert moduledoc =~ "{:#{name}, "
    end
  end

  test "as config.exs writes them" do
    check = [
      {:every, 10_000, {__MODULE__, :well?, []}},
      {:mailbox, :code_server, 10_000},
      schedulers: 5000,
      run_queue: 100_000,
      memory: 0.9,
      memory: 1_000_000_000_000,
      process: Mix.State,
      supervisor: :kernel_sup,
      any: [process: :nobody, process: :init, all: [&__MODULE__.well?/0]]
    ]

    assert :systemd_check.is_check(check)
    assert run(check) == true
  end

  test "names as Elixir writes them" do
    assert run(process: MyApp.Repo) == "process MyApp.Repo is not registered"
    assert run({:process, {:via, Registry, {MyApp.Registry, 1}}}) =~ ~r/ is not registered$/

    # As it is in a release from the start.
    Code.ensure_loaded!(Exception)

    assert run(&__MODULE__.unwell?/0) ==
             "Systemd.CheckTest.unwell?/0 raised error 'Elixir.RuntimeError', see the log"

    assert log(&__MODULE__.unwell?/0) =~
             ~r"^Systemd.CheckTest.unwell\?/0 raised \*\* \(RuntimeError\) no\nbody\n.*check_test.exs:\d+: "
  end

  defp log(check) do
    {:failed, _, _, log} = checked(check)
    IO.chardata_to_string(log)
  end

  test "an exception whose message is no text" do
    Code.ensure_loaded!(Exception)
    assert log(&__MODULE__.illegible?/0) =~ ~r"^Systemd.CheckTest.illegible\?/0 raised <<.*>>$"
  end

  test "processes of a Registry" do
    start_supervised!({Registry, keys: :unique, name: __MODULE__.Registry})
    name = {:via, Registry, {__MODULE__.Registry, "a"}}
    assert run({:mailbox, name, 0}) =~ ~r/ is not registered$/
    start_supervised!(%{id: Agent, start: {Agent, :start_link, [fn -> 1 end, [name: name]]}})
    assert run([{:mailbox, name, 0}, process: name]) == true
  end

  test "supervisors" do
    start_supervised!({DynamicSupervisor, name: __MODULE__.Dynamic, max_restarts: 1_000_000})
    start_supervised!({Task.Supervisor, name: __MODULE__.Tasks})

    start_supervised!(
      {PartitionSupervisor, child_spec: {Agent, fn -> 1 end}, name: __MODULE__.Parts}
    )

    assert run(for name <- [Dynamic, Tasks], do: {:supervisor, Module.concat(__MODULE__, name)}) ==
             true

    assert run({:supervisor, __MODULE__.Parts}) == true

    [first | _] =
      for _ <- 1..3 do
        child = %{id: 1, start: {__MODULE__, :start_child, []}}
        {:ok, pid} = DynamicSupervisor.start_child(__MODULE__.Dynamic, child)
        pid
      end

    assert run({:supervisor, __MODULE__.Dynamic}) == true
    :persistent_term.put(__MODULE__, :fails)
    on_exit(fn -> :persistent_term.erase(__MODULE__) end)
    Process.exit(first, :kill)
    failed = Stream.repeatedly(fn -> run({:supervisor, __MODULE__.Dynamic}) end)
    text = Enum.find(failed, &(&1 != true))
    assert text == "supervisor Systemd.CheckTest.Dynamic: 1 of 3 children are not up"
  end

  def start_child do
    case :persistent_term.get(__MODULE__, :starts) do
      :starts -> Agent.start_link(fn -> 1 end)
      :fails -> {:error, :no}
    end
  end
end
