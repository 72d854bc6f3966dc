"""The mark `vm`: a test that wants the kernel of the small virtual machine (docs/testing.md).

`@pytest.mark.vm("ipip", "dummy")`: the test needs these kernel modules. Where the running kernel
has them it runs there; elsewhere it is skipped, and `make test-vm` runs it. `@pytest.mark.vm`
alone: it runs everywhere, and in the virtual machine too, on that older kernel.
"""

import pytest

from vm import progress
from vm.features import in_guest, missing

_LACKS = "this kernel lacks"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this kernel can't do; in the guest load what is asked for."""
    features = tuple(dict.fromkeys(one for mark in item.iter_markers("vm") for one in mark.args))
    lacking = missing(features)
    if lacking:
        pytest.skip(f"{_LACKS} {', '.join(lacking)}: `make test-vm` runs this test")


def pytest_collection_finish(session: pytest.Session) -> None:
    """In the guest, say what is to be run."""
    if in_guest():
        progress.chosen([one.nodeid for one in session.items])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the guest, say what has failed as soon as it has: the end may never come."""
    if in_guest() and report.failed:
        progress.note(progress.FAILED, report.nodeid)
    if in_guest() and report.when == "teardown":
        progress.note(progress.OVER, report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once how many tests wait for the virtual machine."""
    skipped = sum(_LACKS in str(one.longrepr) for one in terminalreporter.stats.get("skipped", ()))
    if skipped and not in_guest():
        line = f"skipped {skipped} tests: the kernel lacks what they need; `make test-vm` runs them"
        terminalreporter.write_line(line, yellow=True)
