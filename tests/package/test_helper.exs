Lab.boot()
ExUnit.start(timeout: :infinity)
