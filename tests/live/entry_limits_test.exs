defmodule EntryLimitsTest do
  @moduledoc "Events that journald does not take as they are: none is lost without a word."
  use ExUnit.Case, async: true

  defp counts(unit) do
    %{sent: sent, dropped: dropped} =
      Lab.eval(unit, "maps:get(default, maps:get(journal, systemd:info()))")

    {sent, dropped}
  end

  test "more fields than journald takes: the entry is there, and says how many are not" do
    unit = Lab.start_service("many-fields", [:ready], env: [install_journal: %{metadata: :all}])

    assert :ok =
             Lab.eval(unit, """
             Keys = fun(Prefix) ->
                 maps:from_list([{list_to_atom(Prefix ++ integer_to_list(N)), N} || N <- lists:seq(1, 1020)])
             end,
             logger:error("metadata", Keys("key")),
             ok = logger:update_handler_config(default, config, \#{report_cb => fun maps:to_list/1}),
             logger:error(Keys("reported"))
             """)

    for name <- ["KEY", "REPORTED"] do
      fields = unit |> Lab.entries("export", ["PRIORITY=3"]) |> String.split("\n\n")
      assert [entry] = Enum.filter(fields, &(&1 =~ "\n#{name}1="))
      kept = length(Regex.scan(~r/^#{name}\d+=/m, entry))
      assert kept > 900
      assert entry =~ "\nN_FIELDS_DROPPED=#{1020 - kept}\n"
    end
  end

  test "journald takes 960 fields of a unit that has all of its own" do
    unit =
      Lab.start_service("most-fields", [:ready],
        env: [install_journal: %{metadata: :all}],
        service: ["LogExtraFields=#{Enum.map_join(1..20, " ", &"EXTRA_#{&1}=x")}"]
      )

    assert :ok =
             Lab.eval(unit, """
             Keys = [{list_to_atom("key" ++ integer_to_list(N)), N} || N <- lists:seq(1, 1020)],
             logger:error("most", maps:from_list(Keys))
             """)

    assert Lab.entries(unit, "export", ["MESSAGE=most"]) =~ "N_FIELDS_DROPPED="
  end

  for {name, setting, because} <- [
        {"no-memfd", "SystemCallFilter=~memfd_create:EPERM", "Operation not permitted"},
        {"small-files", "# LimitFSIZE=9000000", "File too large"}
      ] do
    test "#{setting}: a line of 20 MB is cut, and says so, and the service lives" do
      unit =
        Lab.start_service(unquote(name), [:ready],
          env: [install_journal: true],
          service: [unquote(setting), "FileDescriptorStoreMax=1"]
        )

      before = Lab.show(unit, "MainPID")
      # From the start OTP 27 would not start with it: the code that it makes is in a file too.
      limit = ["--pid", before, "--fsize=9000000:"]
      if unquote(name) == "small-files", do: assert({_, 0} = Lab.run("prlimit", limit))

      assert :ok =
               Lab.eval(
                 unit,
                 ~s|logger:error(binary:copy(<<"x">>, 20000000), \#{code => 7}), logger:error("short")|
               )

      entry = Lab.entries(unit, "export", ["PRIORITY=3"])
      assert [message] = Regex.run(~r/^MESSAGE=x+$/m, entry)
      assert entry =~ "\nN_BYTES_CUT=#{20_000_000 - byte_size(message) + byte_size("MESSAGE=")}\n"
      assert entry =~ "\nCUT_BECAUSE=#{unquote(because)}\n"
      assert entry =~ "\nPRIORITY=3\n"
      assert entry =~ "\nMESSAGE=short\n"

      assert {:error, _} =
               Lab.eval(unit, ~s|systemd:store_term(state, binary:copy(<<"x">>, 20000000))|)

      assert Lab.show(unit, "MainPID") == before
    end
  end

  # Not from root, to whom journald allows more.
  test "a message of 31 MiB is stored, and one of 33 MiB is counted" do
    File.mkdir_p!(Lab.path("/run/live"))
    File.chmod!(Lab.path("/run/live"), 0o1777)

    unit =
      Lab.start_service("long-entry", [:ready],
        env: [install_journal: true],
        service: ["User=nobody"]
      )

    {_, before} = counts(unit)
    assert before == 0

    for {mib, dropped} <- [{31, 0}, {33, 1}] do
      long = "binary:copy(<<\"0123456789abcde\\n\">>, #{mib} bsl 16)"
      assert :ok = Lab.eval(unit, "logger:error(#{long}, \#{mib => #{mib}})")
      assert {_, ^dropped} = counts(unit)
    end

    {_, 0} = Lab.run("journalctl", ["--sync"])
    stored = "journalctl -q --all -o cat MIB=31 | wc -c; journalctl -q -o cat MIB=33 | wc -c"
    {sizes, 0} = Lab.run("bash", ["-c", stored])
    assert String.split(sizes) == ["#{31 * 1024 * 1024}", "0"]

    Lab.await("the report", fn ->
      Lab.entries(unit, "export", ["N_DROPPED=1"]) =~ "1 log lines from"
    end)
  end
end
