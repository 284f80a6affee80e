Lab.boot()
ExUnit.start(timeout: 120_000)
