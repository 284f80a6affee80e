defmodule Load do
  @moduledoc "Clients of a service in the lab, each of which asks again as soon as it is answered: `live_load`."
  import ExUnit.Assertions

  @doc """
  They ask while `fun` runs, and no request is lost: what `fun` returned, how many were answered, and how many milliseconds
  the slowest took, one client aside that asks for what takes a second. The options are those of `live_load`.
  """
  def during(what, port, clients, options \\ [], fun) do
    stop = "/run/live/stop-#{port}"
    File.mkdir_p!(Lab.path("/run/live"))
    File.rm(Lab.path(stop))
    call = "live_load:main(#{port}, #{clients}, \"#{stop}\", #{:io_lib.format("~0p", [options])})"
    args = ["-noinput", "-pa", "/srv/live/ebin", "-eval", call]
    load = Task.async(fn -> Lab.run("erl", args) end)
    result = fun.()
    File.write!(Lab.path(stop), "")
    {output, 0} = Task.await(load, 60_000)
    {:ok, tokens, _} = :erl_scan.string(String.to_charlist(output))
    {:ok, {answered, slow, failures, longest}} = :erl_parse.parse_term(tokens)

    IO.puts(
      "#{what}, #{clients} clients #{inspect(options)}: #{answered} requests and #{slow} of 1 s answered, " <>
        "#{longest} ms at most, #{length(failures)} failed"
    )

    assert failures == []
    assert slow > 0
    {result, answered, longest}
  end

  @doc "Restarts a unit under load: the main process after each."
  def restarts(unit, count) do
    for _ <- 1..count do
      # Under load again, whatever the last restart left waiting.
      Process.sleep(300)
      Lab.systemctl!(["restart", unit])
      Lab.show(unit, "MainPID")
    end
  end
end
