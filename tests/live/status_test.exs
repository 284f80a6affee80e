defmodule StatusTest do
  use ExUnit.Case, async: true

  test "set_status: up when it starts, down when its supervisor takes it down" do
    status = {:set_status, [up: {:status, ~c"warm"}, down: {:status, ~c"cold"}]}
    unit = Lab.start_service("up-and-down", [status, :ready])
    assert Lab.show(unit, "StatusText") == "warm"
    Lab.systemctl!(["stop", unit])

    assert Lab.notifications(unit) == [
             ["STATUS=warm"],
             ["READY=1"],
             ["STOPPING=1"],
             ["STATUS=cold"]
           ]
  end

  test "status_every: what the function returns, when it has changed" do
    function = {:persistent_term, :get, [:text, ~c"nobody yet"]}
    unit = Lab.start_service("status-every", [{:status_every, 20, function}, :ready])
    Lab.await_property(unit, "StatusText", "nobody yet")
    :ok = Lab.eval(unit, ~S|persistent_term:put(text, "1,204 connections, 3 draining")|)
    Lab.await_property(unit, "StatusText", "1,204 connections, 3 draining")
    # Many intervals later it is told of once still.
    Process.sleep(500)
    assert Enum.count(Lab.notifications(unit), &(hd(&1) == "STATUS=1,204 connections")) == 1
  end

  test "the drain sequence with an open connection, in order, none missing" do
    children = [
      {:set_status, down: [status: ~c"drained"]},
      {:connections, ~c"/run/live/drain.socket"},
      {:set_status, down: [status: ~c"draining"]},
      {:ready, ~c"serving"}
    ]

    unit = Lab.start_service("drain", children)
    connection = Lab.connect("/run/live/drain.socket")
    {:ok, "open\n"} = :gen_tcp.recv(connection, 0)

    Lab.systemctl!(["stop", "--no-block", unit])
    Lab.await_property(unit, "StatusText", "draining")
    assert Lab.show(unit, "ActiveState") == "deactivating"
    refute ["STATUS=drained"] in Lab.notifications(unit)

    :gen_tcp.close(connection)
    Lab.await_property(unit, "ActiveState", "inactive")
    assert Lab.show(unit, "Result") == "success"

    assert Lab.notifications(unit) == [
             ["READY=1", "STATUS=serving"],
             ["STOPPING=1"],
             ["STATUS=draining"],
             ["STATUS=drained"]
           ]
  end

  test "a status with line breaks arrives, as one line" do
    unit = Lab.start_service("one-line", [:ready])
    assert Lab.eval(unit, ~S|systemd:notify({status, "a\nREADY=1\nb"})|) == :ok
    assert Lab.eval(unit, "systemd:barrier()") == :ok
    assert Lab.show(unit, "StatusText") == "a READY=1 b"
  end

  test "a backslash arrives, and does not swallow what comes after it" do
    unit = Lab.start_service("backslash", [:ready])
    notify = ~S|systemd:notify([{x_a, "\\"}, {status, "C:\\new\\"}, {x_b, "\\"}])|
    assert Lab.eval(unit, "ok = #{notify}, systemd:barrier()") == :ok
    assert Lab.show(unit, "StatusText") == "C:\\new\\"
    smuggled = ~S|systemd:notify({x_a, "1\rSTATUS=smuggled"})|
    assert Lab.eval(unit, smuggled) == {:error, {:invalid_value, :x_a}}
  end

  test "the manager takes 4096 bytes, and longer ones are an error here" do
    unit = Lab.start_service("long", [:ready])

    send_status = fn length ->
      Lab.eval(unit, "systemd:notify({status, lists:duplicate(#{length}, $a)})")
    end

    longest = 4096 - byte_size("STATUS=\n")
    assert send_status.(longest) == :ok
    assert Lab.eval(unit, "systemd:barrier()") == :ok
    assert byte_size(Lab.show(unit, "StatusText")) == longest
    assert send_status.(longest + 1) == {:error, :emsgsize}
  end

  test "barrier() returns when all that was sent before is processed" do
    unit = Lab.start_service("barrier", [:ready])

    for n <- 1..100 do
      assert Lab.eval(unit, "systemd:notify({status, \"#{n}\"}), systemd:barrier()") == :ok
      assert Lab.show(unit, "StatusText") == "#{n}"
    end
  end
end
