"""All parameters together, as one type and by name."""

from typing import NamedTuple, get_args, get_type_hints

from tortie.engine.configuration.overlay import OverlayParameters
from tortie.engine.configuration.parameter import Parameter


class Configuration(OverlayParameters, frozen=True, kw_only=True):
    """Every parameter's value. Times are seconds; what has no default may be None."""


class Known(NamedTuple):
    """A parameter and its field in `Configuration`."""

    field: str
    parameter: Parameter


def _known() -> dict[str, Known]:
    hints = get_type_hints(Configuration, include_extras=True)
    found = {}
    for field in Configuration.__struct_fields__:
        (parameter,) = (each for each in get_args(hints[field]) if isinstance(each, Parameter))
        found[parameter.name.casefold()] = Known(field, parameter)
    return found


BY_NAME = _known()
"""Name, in lower case → parameter; in the order of the documentation."""
