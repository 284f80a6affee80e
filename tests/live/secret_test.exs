defmodule SecretTest do
  @moduledoc "What a struct keeps from being shown is nowhere in the journal, see tests/live/secret/secret.ex."
  use ExUnit.Case, async: true

  @password "s3cr3t-Zq9"

  # Compiled there, by the Elixir that runs it.
  setup_all do
    Lab.copy(Path.expand("secret", __DIR__), "/srv/secret")
    {_, 0} = Lab.run("mkdir", ["-p", "/srv/secret/ebin"])
    {output, 0} = Lab.run("elixirc", ["-o", "/srv/secret/ebin", "/srv/secret/secret.ex"])
    refute output =~ "error"
    :ok
  end

  defp logged(name, install_journal) do
    elixir =
      "/usr/bin/elixir --no-halt --logger-sasl-reports true -pa /srv/systemd/ebin -pa /srv/secret/ebin"

    command = ~s|#{elixir} -e "Secret.start(#{install_journal})"|
    unit = Lab.write_unit("#{name}.service", Lab.unit(command, ["Environment=LC_ALL=C.UTF-8"]))
    {_, 0} = Lab.run("systemctl", ["start", unit])
    {unit, Lab.entries(unit, "export")}
  end

  # Each field of each entry, and each line of those that have several.
  defp lines(export), do: String.split(export, "\n")

  defp entries(unit, matches),
    do: unit |> Lab.entries("json", matches) |> String.split("\n", trim: true)

  for {name, install_journal} <- [
        {"secret-default", "true"},
        {"secret-listed", "metadata: [:user, :nested, :broken, :request_id]"},
        {"secret-all", "metadata: :all"}
      ] do
    test "#{name}: no trace of the password, and every line is there" do
      {unit, export} = logged(unquote(name), unquote(install_journal))
      assert for(line <- lines(export), line =~ @password, do: line) == []

      for text <-
            ~w(metadata erlang report elixir_report old server machine missing only_atoms process bare) do
        assert Enum.any?(lines(export), &(&1 =~ text)), text
      end

      # As its Inspect shows it.
      assert export =~ ~s(the_user)
      fields(unit, unquote(install_journal))
    end
  end

  defp fields(unit, "true") do
    # Nothing compound, unless it is listed.
    assert [entry] = entries(unit, ["MESSAGE=metadata"])
    assert entry =~ ~s("REQUEST_ID":"F8fjX2")
    for name <- ~w(USER NESTED BROKEN), do: refute(entry =~ ~s("#{name}":))
    crashes(unit)
  end

  defp fields(unit, _listed_or_all) do
    assert [entry] = entries(unit, ["MESSAGE=metadata"])
    assert entry =~ ~S|"USER":"#Secret.User<name: \"the_user\", ...>"|

    assert entry =~
             ~S'"NESTED":"%{a: [1, {:b, %{user: #Secret.User<name: \"the_user\", ...>}} | :improper]}"'

    assert entry =~ ~S|"BROKEN":"#Inspect.Error<Elixir.Secret.Broken>"|
    assert entry =~ ~s("REQUEST_ID":"F8fjX2")
    crashes(unit)
  end

  # Reads as it does on Elixir's console, and has the fields of a crash.
  defp crashes(unit) do
    text = Lab.entries(unit, "cat")
    assert text =~ ~r/^GenServer #PID<[\d.]+> terminating$/m
    assert text =~ ~r/^Task #PID<[\d.]+> started from .* terminating$/m

    # Elixir 1.18 and later put the map on a line of its own.
    assert text =~
             ~r/\*\* \(KeyError\) key :missing not found in:\s+%{user: #Secret.User<name: "the_user", ...>}/

    reasons = Lab.entries(unit, "cat", ["--output-fields=CRASH_REASON"])
    assert reasons =~ ~S|{:server, #Secret.User<name: "the_user", ...>}|
    assert reasons =~ "** (KeyError) key :missing not found"
  end
end
