"""One workload process: it answers on its ports, and on no others."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tortie.lab.containers import ensure_host_process
from tortie.lab.fabric import ensure_namespace
from tortie.lab.journal import Journal
from tortie.lab.plan import plan_lab
from tortie.lab.wire import ask_when_up
from tortie.lab.workload import SOURCE_PORTS

pytestmark = pytest.mark.root


@pytest.fixture
def control(labs: Path) -> Path:
    """The control socket of a lone host, which can call itself."""
    name = f"t{os.getpid()}-w"
    plan, journal = plan_lab(name, 1), Journal(name, labs)
    journal.create(1)
    host = plan.outside[0]
    ensure_namespace(host.namespace, journal, {})
    ensure_host_process(journal, host)
    return journal.control_socket(host.name)


def told(control: Path, **request: object) -> Any:
    return asyncio.run(ask_when_up(control, request, 60.0))


def listen(control: Path, *ports: tuple[str, int]) -> Any:
    return told(control, verb="listen", ports=ports)["failed"]


def probe(control: Path, *targets: tuple[str, int], timeout: float = 20.0) -> Any:
    here = [(protocol, "127.0.0.1", port) for protocol, port in targets]
    return told(control, verb="probe", targets=here, timeout=timeout)["answers"]


def test_it_says_who_it_is_and_whom_it_saw(control: Path) -> None:
    assert listen(control, ("tcp", 80), ("udp", 53)) == []
    for name, seen_as, milliseconds in probe(control, ("tcp", 80), ("udp", 53)):
        assert (name, seen_as) == ("outside", "127.0.0.1")
        assert 0 < milliseconds < 20_000


def test_nobody_answers_on_other_ports(control: Path) -> None:
    listen(control, ("tcp", 80), ("udp", 53))
    assert probe(control, ("tcp", 53), ("udp", 80)) == [None, None]


def test_ports_that_are_not_wanted_any_more_are_closed(control: Path) -> None:
    listen(control, ("tcp", 80), ("tcp", 81))
    listen(control, ("tcp", 81), ("tcp", 82))
    answers = probe(control, ("tcp", 80), ("tcp", 81), ("tcp", 82))
    assert [answer is not None for answer in answers] == [False, True, True]


def test_a_port_that_is_taken_is_reported(control: Path) -> None:
    listen(control, ("udp", SOURCE_PORTS[0]))
    assert probe(control, ("udp", SOURCE_PORTS[0]))[0][0] == "outside"


def test_many_calls_at_once_are_all_answered(control: Path) -> None:
    ports = [(protocol, port) for protocol in ("tcp", "udp") for port in range(100, 300)]
    assert listen(control, *ports) == []
    assert all(probe(control, *ports, timeout=20.0))


def test_a_round_without_targets_is_over_at_once(control: Path) -> None:
    assert probe(control) == []
