defmodule MemoryPressureTest do
  use ExUnit.Case

  # Of what a process of the unit has, and had at most, in MiB.
  defp mebibytes(unit, field) do
    {status, 0} = Lab.run("cat", ["/proc/#{Lab.show(unit, "MainPID")}/status"])
    [_, kilobytes] = Regex.run(~r/^#{field}:\s+(\d+) kB$/m, status)
    div(String.to_integer(kilobytes), 1024)
  end

  defp collected?(unit), do: Lab.journal(unit) =~ "memory pressure: collected"

  defp assert_lives(unit) do
    assert %{"ActiveState" => "active", "NRestarts" => "0"} =
             Lab.show_all(unit, ["ActiveState", "NRestarts"])

    assert Lab.eval(unit, "systemd:notify({status, \"lives\"}), systemd:barrier()") == :ok
    assert Lab.show(unit, "StatusText") == "lives"
  end

  # systemd before 254 sets no variables: the unit does then.
  defp watch(name, micros) do
    if Lab.systemd_version() >= 254 do
      ["MemoryPressureWatch=on", "MemoryPressureThresholdSec=#{micros}us"]
    else
      [
        "Environment=MEMORY_PRESSURE_WATCH=#{group(name)}/memory.pressure",
        "Environment=MEMORY_PRESSURE_WRITE=" <> Base.encode64("some #{micros} 2000000\0")
      ]
    end
  end

  defp group(name), do: "/sys/fs/cgroup/system.slice/#{name}.service"

  # Has the kernel reclaim memory in the group of the unit: a process there reads a file of 30 MB with room
  # for 4, by a memory controller of the old kind.
  @reclaim """
  set -e
  group=$1 limited=/run/memory/lab-$$ file=$(gcc -print-prog-name=cc1)
  mkdir -p /run/memory
  mountpoint -q /run/memory || mount -t cgroup -o memory memory /run/memory
  mkdir $limited
  trap 'rmdir $limited' EXIT
  echo 4M >$limited/memory.limit_in_bytes
  dd if=$file iflag=nocache count=0 status=none
  sh -c "echo \\$\\$ >$limited/cgroup.procs; echo \\$\\$ >$group/cgroup.procs; exec cat $file" >/dev/null
  """

  defp reclaim(unit) do
    {output, status} = Lab.run("bash", ["-c", @reclaim, "reclaim", group(Path.rootname(unit))])
    assert status == 0, output
  end

  test "the kernel tells of it, garbage is collected, memory falls, and the service lives" do
    name = "memory-pressure"
    service = ["MemoryHigh=150M" | watch(name, 100)]
    unit = Lab.start_service(name, [:ready], service: service)
    pressure = Lab.path("#{group(name)}/memory.pressure")
    assert File.exists?(pressure), "this kernel has no PSI: psi=1 on its command line"
    {descriptors, 0} = Lab.run("ls", ["-l", "/proc/#{Lab.show(unit, "MainPID")}/fd"])
    assert descriptors =~ "#{name}.service/memory.pressure"

    # 200 MiB
    assert Lab.eval(unit, "live_service:hoard(20)", 120_000) == 20

    by =
      if File.exists?(Lab.path("#{group(name)}/memory.high")) do
        Lab.await("the collection", 60_000, fn -> collected?(unit) end)
        "MemoryHigh="
      else
        refute collected?(unit)
        Lab.await("the collection", 60_000, fn -> reclaim(unit) && collected?(unit) end)
        "a reclaim in its group, there being no MemoryHigh= here"
      end

    Lab.await("memory given back", fn ->
      mebibytes(unit, "VmHWM") - mebibytes(unit, "VmRSS") > 100
    end)

    [line] = Regex.run(~r/memory pressure: collected.*/, Lab.journal(unit))

    IO.puts(
      "\n#{watch(name, 100) |> hd() |> String.split("=") |> hd()}=, pressed by #{by}: #{line}; " <>
        "resident #{mebibytes(unit, "VmHWM")} MiB at most, now #{mebibytes(unit, "VmRSS")} MiB"
    )

    assert_lives(unit)
  end

  test "a FIFO tells of it, and the function of the service's own is called" do
    fifo = "/run/live/pressure.fifo"
    File.mkdir_p!(Path.dirname(Lab.path(fifo)))
    {"", 0} = Lab.run("mkfifo", [fifo])
    env = [memory_pressure: {:persistent_term, :put, [:pressed, true]}]
    service = ["Environment=MEMORY_PRESSURE_WATCH=#{fifo}"]
    unit = Lab.start_service("memory-fifo", [:ready], service: service, env: env)
    refute Lab.eval(unit, "persistent_term:get(pressed, false)")
    {"", 0} = Lab.run("timeout", ["10", "sh", "-c", "echo some >#{fifo}"])
    Lab.await("the call", fn -> Lab.eval(unit, "persistent_term:get(pressed, false)") end)
    refute collected?(unit)
    assert_lives(unit)
  end
end
