[
  inputs: [
    "{mix,.formatter}.exs",
    "{elixir,tests,examples}/**/*.{ex,exs}"
  ]
]
