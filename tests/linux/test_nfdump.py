"""A dump of a hash table counts once it is whole."""

from collections.abc import Callable

import pytest

from tortie.linux.netlink.nfdump import settled
from tortie.linux.netlink.nfnetlink import FAMILY_IP, Element, SetRef
from tortie.linux.netlink.sockets import DumpInterrupted

TARGET = SetRef(FAMILY_IP, "t", "hashed")
Found = frozenset[Element]


def members(*numbers: int) -> Found:
    return frozenset(Element(number.to_bytes(4)) for number in numbers)


def dumps(*answers: Found) -> Callable[[], Found]:
    """Each answer once, then the last for ever."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ([members(1, 2, 3)], 3),
        ([members(1, 3), members(1, 2), members(1, 2, 3)], 3),
        ([members(1, 3), members(1, 2), members(1, 2, 3)], None),
        ([members(1, 2, 3)], None),
    ],
)
def test_a_dump_that_passed_elements_over_is_repeated(
    answers: list[Found], count: int | None
) -> None:
    assert settled(dumps(*answers), count, TARGET) == members(1, 2, 3)


def test_a_dump_that_never_is_whole_is_told() -> None:
    with pytest.raises(DumpInterrupted, match="never came whole"):
        settled(dumps(members(1)), 2, TARGET)
