defmodule JournalTest.User do
  @derive {Inspect, except: [:password]}
  defstruct [:name, :password]
end

defmodule JournalTest.Token do
  defstruct [:value]
  defimpl(String.Chars, do: def(to_string(_), do: "token"))
  defimpl(Inspect, do: def(inspect(_, _), do: raise("no")))
end

defmodule JournalTest do
  @moduledoc "Terms, reports and structs of Elixir on their way to the journal: see tests/live/secret_test.exs too."
  use ExUnit.Case, async: true

  alias JournalTest.{Token, User}

  @user %User{name: "me", password: "secret"}
  @shown ~S(#JournalTest.User<name: "me", ...>)

  defp text(value, language \\ :elixir), do: :systemd_journal_fields.text(value, language)

  test "a value as Elixir writes it" do
    for {value, written} <- [
          {%{a: [1, {:b, nil}]}, "%{a: [1, {:b, nil}]}"},
          {[1, 2, 3], "[1, 2, 3]"},
          {<<0>>, "<<0>>"},
          {["a", "b"], ~S(["a", "b"])},
          {"text", "text"},
          {~D[2026-11-28], "2026-11-28"},
          {[at: ~D[2026-11-28]], "[at: ~D[2026-11-28]]"},
          {%RuntimeError{message: "boom"}, "** (RuntimeError) boom"}
        ],
        do: assert(text(value) == written)

    assert text(%{a: [1, {:b, nil}]}, :erlang) == "\#{a => [1,{b,nil}]}"
  end

  test "a struct is what it shows of itself, wherever it is" do
    for language <- [:elixir, :erlang],
        value <- [@user, %{a: [{1, @user}]}, [1 | @user], {:bad, @user}] do
      written = text(value, language)
      refute written =~ "secret"
      assert String.replace(written, ~S(\"), ~S(")) =~ @shown
    end

    assert text(%Token{value: "secret"}) == "token"

    # An exception would show what it holds.
    for exception <- [
          %MatchError{term: %Token{value: "secret"}},
          %KeyError{key: :a, term: [%Token{value: "secret"}]}
        ],
        do: refute(text(exception) =~ "secret")

    for language <- [:elixir, :erlang] do
      assert text([%Token{value: "secret"}], language) =~
               "#Inspect.Error<Elixir.JournalTest.Token>"
    end
  end

  test "the language of an event" do
    for {meta, language} <- [
          {%{mfa: {__MODULE__, :f, 1}}, :elixir},
          {%{domain: [:elixir]}, :elixir},
          {%{crash_reason: {:x, []}, mfa: {:gen_server, :error_info, 8}}, :elixir},
          {%{mfa: {:gen_server, :f, 1}}, :erlang},
          {%{}, :erlang}
        ],
        do: assert(:systemd_journal_fields.language(meta) == language)
  end

  # What OTP's formatter would print with all that is in it.
  defp formatted(message, meta \\ %{}, formatter \\ {:logger_formatter, %{template: [:msg]}}) do
    event = %{level: :error, msg: message, meta: Map.put(meta, :time, 0)}
    {:ok, text} = :systemd_journal_message.format(event, formatter)
    IO.chardata_to_string(text)
  end

  test "arguments and reports" do
    for message <- [
          {~c"~p ~w", [@user, [@user]]},
          {:report, %{user: @user, nested: [@user]}},
          {:report, [user: {@user}]},
          {:report, @user}
        ],
        do: refute(formatted(message) =~ "secret")

    # As on Elixir's console.
    assert formatted({~c"~p and ~20w, ~ts ~b", [%{user: @user}, [1, :a], "text", 7]}) ==
             "%{user: #{@shown}} and [1, :a], text 7"

    assert formatted({:report, [user: {@user}]}) == "[user: {#{@shown}}]"
    assert formatted({:report, @user}) == @shown
    # Those that can't be formatted, and an Inspect that fails.
    refute formatted({~c"~s", [@user]}) =~ "secret"
    assert formatted({:string, ["created ", @user]}) =~ ~r/^FORMAT ERROR: .*created/
    refute formatted({:string, ["created ", @user]}) =~ "secret"
    token = formatted({~c"~p", [%Token{value: "secret"}]})
    assert token =~ "#Inspect.Error<Elixir.JournalTest.Token>"
    # The options of the formatter.
    long = Enum.to_list(1..60)

    assert formatted({~c"~P ~p", [long, 3, long]}) ==
             "[1, 2, 3, ...] #{inspect(long, limit: 100)}"

    deep = {:logger_formatter, %{template: [:msg], depth: 2}}
    assert formatted({~c"~p", [long]}, %{}, deep) == "[1, 2, ...]"

    callback = fn _ -> {~c"~p", [:own]} end
    own = {:logger_formatter, %{template: [:msg], report_cb: callback}}
    assert formatted({:report, %{a: 1}}, %{report_cb: &:logger.format_report/1}, own) == ":own"
    # A formatter of one's own has the same kind of message.
    assert formatted({:report, %{user: @user}}, %{}, {:journal_test_formatter, %{}}) ==
             inspect(%{user: @shown})

    template = {:logger_formatter, %{template: [:msg, " ", :user]}}
    refute formatted({:string, "x"}, %{user: @user}, template) =~ "secret"
  end

  # In a module whose name is none of Elixir's.
  defmodule :journal_test_formatter do
    def format(%{msg: {:report, report}}, _), do: inspect(report)
    def report(report), do: {~c"~ts", [report(report, %{single_line: false})]}
    def report(report, %{single_line: false}), do: :io_lib.format(~c"~tp", [report])
  end

  test "the level of standard output, of Elixir's formatter and of OTP's" do
    event = %{level: :error, msg: {~c"~p", [@user]}, meta: %{time: 0}}

    for parent <- [:logger_formatter, :systemd_kmsg_formatter] do
      lines = :systemd_kmsg_formatter.format(event, %{parent: parent}) |> IO.chardata_to_string()
      assert lines =~ ~r/^<3>/
      refute lines =~ "secret"
    end
  end

  # What it returns is formatted as anything else.
  test "a report_cb" do
    of_elixir = fn %{user: %User{name: name}} -> {~c"user ~ts", [name]} end
    assert formatted({:report, %{user: @user}}, %{report_cb: of_elixir}) == "user me"

    refute formatted({:report, %{user: @user}}, %{report_cb: &:logger.format_report/1}) =~
             "secret"
  end

  test "a formatter that fails shows no more" do
    event = %{level: :error, msg: {~c"~p", [@user]}, meta: %{time: 0}}

    assert {:failed, text, why} =
             :systemd_journal_message.format(event, {__MODULE__.Failing, %{}})

    refute IO.chardata_to_string([text, why]) =~ "secret"
    assert IO.chardata_to_string(text) =~ "FORMATTER CRASH: "
    assert IO.chardata_to_string(why) =~ "formatter Elixir.JournalTest.Failing failed: error"
  end

  defmodule Failing do
    def format(%{never: _}, _), do: "x"
  end

  if Version.match?(System.version(), "< 1.15.0") do
    test "a crash is translated as Elixir's console has it" do
      report = %{
        label: {:gen_server, :terminate},
        name: self(),
        last_message: {:cast, @user},
        state: @user,
        reason: {%RuntimeError{message: "boom"}, [{__MODULE__, :f, 1, []}]},
        client_info: :undefined,
        log: []
      }

      event = %{level: :error, msg: {:report, report}, meta: %{request_id: "F8fjX2"}}
      assert %{msg: {:string, text}, meta: meta} = :systemd_elixir.translated(event)
      text = IO.chardata_to_string(text)
      assert text =~ ~r/^GenServer #PID<.*> terminating\n\*\* \(RuntimeError\) boom/
      assert text =~ @shown
      refute text =~ "secret"
      assert %{request_id: "F8fjX2", crash_reason: {%RuntimeError{}, [_]}} = meta
      broken = put_in(event.msg, {:report, %{report | state: %Token{value: "secret"}}})
      assert %{msg: {:string, text}} = :systemd_elixir.translated(broken)
      refute IO.chardata_to_string(text) =~ "secret"
    end

    # Logger's own translator has every one of these skipped.
    test "a report with a label is not lost" do
      for report <- [
            %{label: :payment, amount: 5},
            %{label: {:gen_server, :no_handle_info}, module: M, message: 1}
          ] do
        event = %{level: :error, msg: {:report, report}, meta: %{}}
        assert :systemd_elixir.translated(event) == event
      end
    end
  end

  # What the library itself says of a term of the user's.
  test "the library's own lines" do
    for failure <- [{:ended, {:bad, @user}}, {:invalid, @user}] do
      {format, args} = :systemd_function.describe(failure)
      refute IO.chardata_to_string(:io_lib.format(format, args)) =~ "secret"
    end

    for problem <- :systemd_config.problems(reload: @user, watchdog_check: [@user]),
        do: refute(IO.chardata_to_string(problem) =~ "secret")

    say = fn _ -> :ok end

    for check <- [{Function, :identity, [@user]}, fn -> {:error, @user} end, {:process, @user}] do
      prepared = :systemd_check_run.prepare([check])
      {:failed, _, status, log} = :systemd_check_run.run(prepared, :none, say)
      refute IO.chardata_to_string([status, log]) =~ "secret"
    end
  end

  test "what is no report is left as it is" do
    for message <- [{:string, "x"}, {~c"~p", [1]}, {:report, %{a: 1}}] do
      event = %{level: :info, msg: message, meta: %{}}
      assert :systemd_elixir.translated(event) == event
    end
  end
end
