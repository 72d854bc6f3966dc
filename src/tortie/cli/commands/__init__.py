"""One module per command: `arguments(parser)` declares its options, `run(options)` does it.

`run` returns the exit status, and raises for what a person can mend (`tortie.cli.errors`). A module
imports what its command needs and no more: `tortie version` pays for nothing of `tortie lab`.
"""
