"""Nodes in network namespaces, each with the real daemon and a real BIRD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bgp.network import BIRD, Network


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """An empty network of its own: a switch, and nothing on it."""
    if BIRD is None:
        pytest.skip("BIRD 2 is not installed (Debian: bird2)")
    with Network(tmp_path) as found:
        yield found
