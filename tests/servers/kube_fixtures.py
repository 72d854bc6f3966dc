"""pytest fixtures of a real API server, and the line that says why tests with one were skipped.

`kube` is one server for the whole run, with all our kinds; each test that asks for it finds it
without objects. Faults that others would notice (killed, paused) are done to a `fresh_kube`.
"""

from collections.abc import Iterator

import pytest

from servers.etcd import MISSING as NO_ETCD
from servers.go_programs import NotBuilt
from servers.kube import KubeServer, kube_server
from servers.kube_build import REQUIRED, cached, required
from servers.kube_crds import install, store_whole

_NONE = "no kube-apiserver"


@pytest.fixture(scope="session")
def needs_kube() -> None:
    """Skips where there is no API server to start; fails where the environment demands one."""
    why = NO_ETCD or _missing()
    if why and required():
        pytest.fail(f"{_NONE}: {why} ({REQUIRED} is set)", pytrace=False)
    if why:
        pytest.skip(f"{_NONE}: {why}")


def _missing() -> str:
    try:
        cached()
    except NotBuilt as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def shared_kube(needs_kube: None) -> Iterator[KubeServer]:  # noqa: ARG001 - asked for to skip
    """The one server of this run (5 s), with both groups of Calico's kinds and admin policies.

    It judges by all rules of the definitions, as a server of the next release would.
    """
    with kube_server() as server:
        install(server.api)
        store_whole(server)
        yield server


@pytest.fixture
def kube(shared_kube: KubeServer) -> KubeServer:
    """The one server, without objects."""
    shared_kube.wipe()
    return shared_kube


@pytest.fixture
def fresh_kube(needs_kube: None) -> Iterator[KubeServer]:  # noqa: ARG001 - asked for to skip
    """A server of this test's own (4 s), with our kinds, to be killed or paused."""
    with kube_server() as server:
        install(server.api)
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once why tests were skipped that need a server which is not here."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", ()):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith((_NONE, "no etcd")):
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count} tests: {reason}", yellow=True)
