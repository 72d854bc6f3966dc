"""A node's private keys: the one in use is never lost while another is on its way."""

from pathlib import Path

import pytest

from tortie.dataplane.wireguard import Keys, public_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wireguard.key"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_key_in_use_stays_until_another_is_published(path: Path, times: int) -> None:
    """However often others are asked for while the datastore is away."""
    used = public_key(Keys(path).newest)
    made = [Keys(path).rotate() for _ in range(times)]
    keys = Keys(path)
    keys.settle(used)  # the Node has not changed yet
    assert Keys(path).holding(used)
    assert public_key(keys.newest) == made[-1]
    keys.settle(made[-1])
    assert [Keys(path).holding(one) is not None for one in (used, *made)] == [False] * times + [
        True
    ]


def test_one_published_while_another_is_made_already_stays_with_that_one(path: Path) -> None:
    used = public_key(Keys(path).newest)
    first, second = Keys(path).rotate(), Keys(path).rotate()
    Keys(path).settle(first)
    found = Keys(path)
    assert [found.holding(one) is not None for one in (used, first, second)] == [False, True, True]


def test_a_key_that_is_not_here_settles_nothing(path: Path) -> None:
    used = public_key(Keys(path).newest)
    Keys(path).rotate()
    before = path.read_bytes()
    Keys(path).settle("somebody else's")
    assert path.read_bytes() == before
    assert Keys(path).holding("somebody else's") is None
    assert Keys(path).holding(used)


def test_forgotten_keys_are_nowhere(path: Path) -> None:
    keys = Keys(path)
    key = keys.newest
    assert keys.has(key)
    assert not keys.has(None)
    keys.forget()
    assert not path.exists()
    assert not keys.has(key)
    assert Keys(path).newest != key
