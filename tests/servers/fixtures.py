"""pytest fixtures of real servers; tests/conftest.py makes them known to all tests."""

from collections.abc import Iterator

import pytest

from servers.etcd import MISSING, EtcdServer, etcd_server
from servers.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority for all tests; further ones are made by `Pki(folder, name)`."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def needs_etcd() -> None:
    """Skips where there is no etcd, with a line that says so."""
    if MISSING:
        pytest.skip(MISSING)


@pytest.fixture
def etcd(needs_etcd: None) -> Iterator[EtcdServer]:  # noqa: ARG001 - asked for to skip
    """A fresh plain etcd for one test (0.1 s)."""
    with etcd_server() as server:
        yield server


@pytest.fixture
def etcd_tls(needs_etcd: None, pki: Pki) -> Iterator[EtcdServer]:  # noqa: ARG001 - as above
    """A fresh etcd with TLS that asks for client certificates, for one test."""
    with etcd_server(pki) as server:
        yield server


@pytest.fixture(scope="session")
def shared_etcd(needs_etcd: None) -> Iterator[EtcdServer]:  # noqa: ARG001 - as above
    """One plain etcd for all tests that keep to keys of their own and never compact it."""
    with etcd_server() as server:
        yield server
