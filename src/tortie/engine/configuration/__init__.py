"""The agent's parameters: all of Calico's, typed, from every place that may set them.

What comes in: texts from the environment, a file, FelixConfigurations. What goes out: one typed
`Configuration` with, for each parameter, who set it, and what was wrong. It never reads the
environment or a file itself, and never acts on a parameter.
"""

from tortie.engine.configuration.parameters import Configuration
from tortie.engine.configuration.resolve import Problem, Resolved, Setting, resolve, unused
from tortie.engine.configuration.sources import (
    Origin,
    Source,
    from_environment,
    from_file,
    from_resources,
)

__all__ = [
    "Configuration",
    "Origin",
    "Problem",
    "Resolved",
    "Setting",
    "Source",
    "from_environment",
    "from_file",
    "from_resources",
    "resolve",
    "unused",
]
