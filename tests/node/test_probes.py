"""Probes ask the daemons themselves: a real agent, a real BIRD, and what a supervisor is told."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bgp.network import BIRD, Network, until
from cni.node import RealNode
from servers.process import free_port
from tortie.linux.namespaces import in_namespace
from tortie.node.probes import Places, felix_live, judge_sessions, places

NOW = datetime(2026, 5, 4, 12, 0, 0)
OLD = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%d %H:%M:%S.123")
YOUNG = (NOW - timedelta(seconds=5)).strftime("%Y-%m-%d %H:%M:%S.123")


def status(states: dict[str, str], booted: str = OLD, **changes: Any) -> dict[str, Any]:
    sessions = [
        {"peer": peer, "state": state, "ip_version": 6 if ":" in peer else 4}
        for peer, state in states.items()
    ]
    bird = {"running": True, "away": "", "said": {"booted": booted}}
    return {"bird": bird, "in_sync": True, "sessions": sessions, **changes}


@pytest.mark.parametrize(
    ("found", "version", "reason"),
    [
        (status({}), 4, ""),
        (status({"192.0.2.1": "Established"}), 4, ""),
        (status({"192.0.2.1": "Active"}), 4, "no BGP session with 192.0.2.1"),
        (status({"192.0.2.1": "Active"}), 6, ""),
        (status({"192.0.2.1": "Established", "192.0.2.2": "Idle"}), 4, ""),
        (
            status({"192.0.2.1": "Established", "192.0.2.2": "Idle"}, YOUNG),
            4,
            "no BGP session with 192.0.2.2",
        ),
        (status({"fd00::1": "Connect"}, "long ago"), 6, "no BGP session with fd00::1"),
        (status({}, in_sync=False), 4, "the datastore has not been read yet"),
        (
            status({}, bird={"running": False, "away": "it ended", "said": {}}),
            4,
            "BIRD does not answer: it ended",
        ),
    ],
)
def test_bird_is_ready_with_all_its_sessions_or_later_with_one(
    found: dict[str, Any], version: int, reason: str
) -> None:
    said = judge_sessions(found, version, 30.0, NOW)
    assert said.startswith(reason) if reason else not said


@pytest.mark.parametrize(
    ("environ", "health"),
    [
        ({}, None),
        ({"FELIX_HEALTHENABLED": "true"}, ("localhost", 9099)),
        (
            {
                "FELIX_HEALTHENABLED": "1",
                "FELIX_HEALTHHOST": "127.0.0.1",
                "FELIX_HEALTHPORT": "9999",
            },
            ("127.0.0.1", 9999),
        ),
    ],
)
def test_the_agent_is_asked_where_it_listens(
    environ: dict[str, str], health: tuple[str, int] | None
) -> None:
    found = places(environ, "/run/tortie")
    assert found == Places("/run/tortie/agent.sock", "/run/tortie/bgp.sock", found.bird, health)


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1"])
def test_what_is_no_port_is_refused_by_name(port: str) -> None:
    with pytest.raises(ValueError, match=f"FELIX_HEALTHPORT is '{port}'"):
        places({"FELIX_HEALTHENABLED": "true", "FELIX_HEALTHPORT": port}, "/run")


def probe(run_dir: Path, *flags: str, netns: str = "", **environ: str) -> tuple[int, str]:
    within = ["nsenter", f"--net={netns}"] if netns else []
    command = [*within, sys.executable, "-m", "tortie.cli", "node", "health", *flags]
    done = subprocess.run(
        [*command, "--run-dir", str(run_dir)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "say what to check: --felix-live"),
        (("--felix-live", "--threshold-time", "soon"), "--threshold-time is 'soon'"),
        (("--bird-live",), "bird-live: BIRD does not answer: "),
        (("--bird-ready",), "bird-ready: "),
        (("-felix-ready",), "felix-ready: "),
    ],
)
def test_what_can_not_be_asked_fails_with_a_reason(
    tmp_path: Path, flags: tuple[str, ...], told: str
) -> None:
    code, said = probe(tmp_path, *flags)
    assert code != 0
    assert told in said


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RealNode]:
    found = RealNode(tmp_path)
    yield found
    found.close()


@pytest.mark.root
@pytest.mark.parametrize("by_page", [False, True])
def test_the_agent_is_live_and_ready_as_it_says_itself(node: RealNode, by_page: bool) -> None:
    environ = {"FELIX_HEALTHENABLED": "true", "FELIX_HEALTHHOST": "127.0.0.1"}
    environ = {**environ, "FELIX_HEALTHPORT": str(free_port())} if by_page else {}
    both = ("--felix-live", "--felix-ready")
    node.environ.update(environ)
    assert probe(node.run_dir, *both, netns=node.netns, **environ)[0] == 1
    node.start_ready()
    assert probe(node.run_dir, *both, netns=node.netns, **environ) == (0, "")
    node.agent.send_signal(signal.SIGSTOP)
    try:
        with in_namespace(node.netns):
            said = felix_live(places(environ, str(node.run_dir)))
    finally:
        node.agent.send_signal(signal.SIGCONT)
    assert "no answer in time" in said
    node.kill()
    code, said = probe(node.run_dir, *both, netns=node.netns, **environ)
    assert code == 1
    assert len(said.splitlines()) == len(both)


@pytest.mark.root
def test_bird_is_live_and_ready_as_its_own_socket_says(tmp_path: Path) -> None:
    if BIRD is None:
        pytest.skip("BIRD 2 is not installed (Debian: bird2)")
    with Network(tmp_path) as network:
        nodes = [network.node(f"n{number}", number) for number in (1, 2)]
        first = nodes[0]
        first.start()
        until(lambda: probe(first.folder, "--bird-live", "--bird6-live")[0] == 0, said="live")
        until(lambda: "no BGP session with" in probe(first.folder, "--bird-ready")[1])
        nodes[1].start()
        until(lambda: probe(first.folder, "--bird-ready", "--bird6-ready")[0] == 0, said="ready")
        first.stop(signal.SIGKILL)  # BIRD goes on
        assert probe(first.folder, "--bird-live") == (0, "")
        assert "bgp.sock does not answer" in probe(first.folder, "--bird-ready")[1]
