"""Tables that tests tell, printed when all has been tried, whatever pytest captures.

A worker of pytest-xdist has no terminal: it hands its tables to the run that started it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

_TABLES = pytest.StashKey[list[str]]()
_HANDED = "tortie tables"


def tell(config: pytest.Config, table: str) -> None:
    """Have this printed at the end."""
    config.stash.setdefault(_TABLES, []).append(table)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker, hand over what there is."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_HANDED] = session.config.stash.get(_TABLES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: "WorkerController") -> None:
    """Take what a worker hands over; one that died has nothing."""
    for table in getattr(node, "workeroutput", {}).get(_HANDED, ()):
        tell(node.config, table)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print them all."""
    for table in config.stash.get(_TABLES, []):
        terminalreporter.write(f"\n{table}\n")
