"""Devices that the kernel at hand may lack, and that nodes have."""

import itertools
import os
import subprocess
from collections.abc import Iterator

import pytest

from tortie.linux.namespaces import create_named, delete_named, in_namespace

_NUMBERS = itertools.count(1)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"vm{os.getpid()}-{next(_NUMBERS)}"
    create_named(name)
    yield name
    delete_named(name)


KINDS = ["dummy", "ipip local 192.0.2.1 remote 192.0.2.2", "vrf table 7", "wireguard"]


@pytest.mark.root
@pytest.mark.vm("dummy", "ipip", "vrf", "wireguard")
@pytest.mark.parametrize("kind", KINDS)
def test_devices_of_every_kind_can_be_made(namespace: str, kind: str) -> None:
    with in_namespace(f"/run/netns/{namespace}"):
        subprocess.run(["ip", "link", "add", "one", "type", *kind.split()], check=True)
