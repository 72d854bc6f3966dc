"""One module for each requirement, named by its row; `tortie.requirements.registry` lists them.

To add one: a module with a CHECK, its `judge` pure in what it is told, and a line in the registry.
`make requirements` writes docs/requirements.md anew, and tests hold that both verdicts of it, there
and taken away, are tried.
"""
