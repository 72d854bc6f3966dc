"""How Python's garbage collector runs in an agent: seldom (`tortie.cli.lean`), and never over what
was there from the first.
"""

import gc


def settle() -> None:
    """The first picture is there: never look through it again."""
    gc.freeze()
