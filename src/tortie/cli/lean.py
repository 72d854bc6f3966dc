"""structlog without what it would load beside itself.

Where rich is installed, as it is for the lab's progress, structlog loads it to show tracebacks in
colours. A daemon's logs are JSON: rich would be a seventh of its start, and 4 MiB of it for good.
"""

import importlib
import sys
from types import ModuleType
from typing import cast

_NOT_THERE = cast(ModuleType, None)  # in sys.modules: as though it were not installed


def load_structlog() -> None:
    """Load it as where there is no rich; who wants that later still gets it."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = _NOT_THERE
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
