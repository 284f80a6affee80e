unless :test in ExUnit.configuration()[:exclude], do: Lab.boot()
ExUnit.start(timeout: 120_000, max_cases: 6)
