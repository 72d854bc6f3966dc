"""From files and the environment, by Calico's names, to the settings of a datastore.

What comes in: a CalicoAPIConfig file (`from_file`), the environment (`from_environment`, and
`for_daemon` for what FELIX_* and TYPHA_* say), or what a person wrote on a command line
(`from_location`): each a `Fields`, text by the name of its field, with the name to blame. What goes
out: `settings_of(fields)`, with certificates and keys read and checked. Only here are these files
read. It opens no connection.
"""

from tortie.datastore.configuration.building import DEFAULT_PATH, settings_of
from tortie.datastore.configuration.fields import ConfigurationError, Fields, Given
from tortie.datastore.configuration.sources import (
    for_daemon,
    from_environment,
    from_file,
    from_location,
)

__all__ = [
    "DEFAULT_PATH",
    "ConfigurationError",
    "Fields",
    "Given",
    "for_daemon",
    "from_environment",
    "from_file",
    "from_location",
    "settings_of",
]
