"""What the process of a command leaves out, so that it starts sooner and takes less memory."""

import gc
import importlib
import sys
from types import ModuleType
from typing import cast

_THRESHOLDS = (50_000, 20, 100)  # allocations, then collections of the generation before
_NOT_THERE = cast(ModuleType, None)  # in sys.modules: as though it were not installed


def collect_seldom() -> None:
    """Look for cycles seldom, in the whole process and from its start.

    What a program loads, and what an agent holds, is large, lives long and has none. With Python's
    own thresholds a sixth of a start goes into looking through it, and half of a first picture of
    100,000 pods; a full collection later stops packets' policies for 0.3 s.
    """
    gc.set_threshold(*_THRESHOLDS)


def load_structlog() -> None:
    """Load it as where there is no rich; who wants that later still gets it.

    Where rich is installed, as it is for the lab's progress, structlog loads it to show tracebacks
    in colours. A daemon's logs are JSON: rich would be a seventh of its start, and 4 MiB for good.
    """
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = _NOT_THERE
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
