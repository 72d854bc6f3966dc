"""A place of its own for the labs of each test, and their removal whatever happens."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal


@pytest.fixture
def labs() -> Iterator[Path]:
    """A directory for labs; every lab in it is taken down at the end.

    Its path is short: that of a unix socket has at most 107 bytes.
    """
    place = Path(tempfile.mkdtemp(prefix="tl-"))
    yield place
    for path in place.glob("[!.]*"):
        take_down(Journal(path.name, place))
    shutil.rmtree(place)
