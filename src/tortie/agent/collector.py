"""How Python's garbage collector runs in an agent.

What an agent holds is large, lives long and has no cycles. With Python's own thresholds half of the
time of a first picture of 100,000 pods goes into looking through it again and again, and a full
collection later stops packets' policies for 0.3 s.
"""

import gc

_THRESHOLDS = (50_000, 20, 100)  # allocations, then collections of the generation before


def relax() -> None:
    """Collect seldom. For the whole process."""
    gc.set_threshold(*_THRESHOLDS)


def settle() -> None:
    """The first picture is there: never look through it again."""
    gc.freeze()
