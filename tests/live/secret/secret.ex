defmodule Secret do
  @moduledoc "A struct that keeps its password to itself, in every place from which it might come into the journal."

  defmodule User do
    @derive {Inspect, except: [:password]}
    defstruct [:name, :password]
  end

  # An Inspect that fails, upon which Elixir's own would show the whole struct.
  defmodule Broken do
    defstruct [:name, :password]

    defimpl Inspect do
      def inspect(%{name: name}, _), do: raise("#{name}")
    end
  end

  # What its state is, as nobody but OTP sees it.
  defmodule Server do
    use GenServer

    def init(state), do: {:ok, state}
    def handle_cast(reason, state), do: exit({reason, state})
  end

  defmodule Machine do
    @behaviour :gen_statem

    def callback_mode, do: :handle_event_function
    def init(state), do: {:ok, state, state}
    def handle_event(:cast, reason, state, _), do: exit({reason, state})
  end

  require Logger

  @password "s3cr3t-Zq9"

  def start(install_journal) do
    Application.put_env(:logger, :level, :debug)
    {:ok, _} = Application.ensure_all_started(:logger)
    :ok = Application.load(:systemd)
    Application.put_env(:systemd, :install_journal, install_journal)
    {:ok, _} = Application.ensure_all_started(:systemd)
    log()
    Supervisor.start_link([:systemd.ready()], strategy: :one_for_one)
  end

  defp log do
    user = %User{name: "the_user", password: @password}
    nested = %{a: [1, {:b, %{user: user}} | :improper]}
    broken = %Broken{name: "the_broken", password: @password}

    Logger.metadata(request_id: "F8fjX2")
    Logger.error("metadata", user: user, nested: nested, broken: broken)
    :logger.error(~c"erlang ~p ~p", [nested, user], %{user: user, nested: nested})
    :logger.error(%{report: user, nested: nested})
    Logger.error(%{elixir_report: user, nested: nested})
    :error_logger.error_report(old: nested)
    :error_logger.error_msg(~c"old ~p", [user])

    {:ok, server} = GenServer.start(Server, nested)
    ended(server, fn -> GenServer.cast(server, {:server, user}) end)
    {:ok, machine} = :gen_statem.start(Machine, nested, [])
    ended(machine, fn -> :gen_statem.cast(machine, {:machine, user}) end)
    {:ok, task} = Task.start(fn -> receive do: (:go -> Map.fetch!(%{user: user}, :missing)) end)
    ended(task, fn -> send(task, :go) end)
    {:ok, argument} = Task.start(fn -> receive do: (:go -> only_atoms(user)) end)
    ended(argument, fn -> send(argument, :go) end)
    process = :proc_lib.spawn(fn -> receive do: (:go -> exit({:process, nested})) end)
    ended(process, fn -> send(process, :go) end)
    bare = spawn(fn -> receive do: (:go -> :erlang.error({:bare, user})) end)
    ended(bare, fn -> send(bare, :go) end)
  end

  defp only_atoms(atom) when is_atom(atom), do: atom

  defp ended(pid, by) do
    monitor = Process.monitor(pid)
    by.()
    receive do: ({:DOWN, ^monitor, _, _, _} -> Process.sleep(50))
  end
end
