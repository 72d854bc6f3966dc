"""What a supervisor starts and can't go on ends in one line that says which of them it was."""

from collections.abc import Iterator

import pytest
import structlog

from strategies.command_line import Tortie
from tortie.cli.foreground import ended

DAEMONS = ("node start", "node monitor-addresses", "node shutdown", "bgp", "fanout", "controllers")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()  # a daemon's logs go to the stream of its own start


@pytest.mark.parametrize("command", DAEMONS)
def test_each_names_itself_and_what_was_wrong(
    tortie: Tortie, monkeypatch: pytest.MonkeyPatch, tmp_path: object, command: str
) -> None:
    monkeypatch.setenv("TORTIE_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("CALICO_SHUTDOWN_TIMESTAMP_FILE", f"{tmp_path}/shutdown")
    said = tortie(*command.split(), "--datastore", "nonsense:x")
    assert said.status == 1
    assert f"tortie {command}: --datastore: 'nonsense:x' names no datastore" in said.err
    assert "Traceback" not in said.err


def test_a_defect_keeps_its_traceback() -> None:
    def work() -> None:
        raise LookupError("nobody expects it")

    with pytest.raises(LookupError):
        ended("node start", work, ValueError)
