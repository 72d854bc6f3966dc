"""Coverage-guided runs that look for input which no reader of Tortie's is ready for.

`python -m fuzz` gives each target (`fuzz.targets`) its time in a process of its own; what breaks
is kept in `fuzz/found/` and fed again to the plain code by `fuzz.replay`. Only `fuzz.worker` needs
atheris: targets and mutators are ordinary functions of bytes, and `tests/fuzz` runs them too.
"""
