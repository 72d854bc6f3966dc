"""From what a system call or a program answered to what came of a trial."""

import errno
from collections.abc import Callable, Iterator, Sequence

from tortie.linux.libnftables import NftError
from tortie.requirements.tried import WORKS, Outcome, Tried

_RIGHTS = frozenset({errno.EPERM, errno.EACCES})
_REFUSALS = ("Operation not permitted", "Permission denied", "you must be root")
_SHOWN = 160  # characters of what was answered


def attempt(trial: Callable[[], None], capability: str) -> Tried:
    """Make one trial; `capability` is the one without which the kernel says EPERM to it."""
    try:
        trial()
    except (OSError, NftError) as error:
        return outcome_of(error, capability)
    return WORKS


def outcome_of(error: OSError | NftError, capability: str) -> Tried:
    """What an error means: no right to try, or nothing there."""
    words = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    if number in _RIGHTS or (number is None and any(one in words for one in _REFUSALS)):
        return Tried(Outcome.FORBIDDEN, f"needs {capability} to be tried")
    return Tried(Outcome.LACKING, words[:_SHOWN])


def batched(
    names: Sequence[str], trial: Callable[[Sequence[str]], None], capability: str
) -> Iterator[tuple[str, Tried]]:
    """All at once, which is quick where nothing is missing; else by halves, to see what is."""
    came = attempt(lambda: trial(names), capability)
    if came.works or len(names) == 1:
        yield from ((name, came) for name in names)
        return
    half = len(names) // 2
    for some in (names[:half], names[half:]):
        yield from batched(some, trial, capability)
