"""CustomResourceDefinitions: what an API server must know to keep our kinds as its own.

Two groups hold the same 22 kinds. `projectcalico.org/v3` is what people write; its definitions say
everything that our types and rules say, so that the API server refuses what we would refuse.
`crd.projectcalico.org/v1` is where an aggregated API server for the former keeps its objects; that
server has judged them already, so these definitions take specs as they are.

Everything is derived (`tortie.api.schemas`); only names and columns for kubectl are written down
here. Nothing is applied: `tortie crds | kubectl apply -f -` does that.
"""

from tortie.api.crds.definitions import (
    GROUPS,
    NATIVE,
    STORED,
    definition,
    definitions,
    has_status,
    plural_of,
)
from tortie.api.crds.names import CUSTOM_KINDS
from tortie.api.crds.versions import WHOLE, Release, parse_release

__all__ = [
    "CUSTOM_KINDS",
    "GROUPS",
    "NATIVE",
    "STORED",
    "WHOLE",
    "Release",
    "definition",
    "definitions",
    "has_status",
    "parse_release",
    "plural_of",
]
