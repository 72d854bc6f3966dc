"""A node on which firewalld lives, too: its start, reloads and end leave policy in force."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.test_drift import flowing, run
from agent.test_process import only_port
from cni.node import RealNode, until
from cni.traffic import reaches
from servers.firewalld import Firewalld, why_not

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not())]

OURS = {
    "nftables": {"FELIX_NFTABLESMODE": "Enabled"},
    "legacy": {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "Legacy"},
    "nft": {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": "NFT"},
}
PAIRS = [("nft", "iptables")]
if os.environ.get("TORTIE_FIREWALLD"):
    PAIRS = [(ours, theirs) for ours in OURS for theirs in ("nftables", "iptables")]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("f")  # a bus's socket has a short name


@pytest.fixture(params=PAIRS, ids="-".join)
def place(
    tmp_path: Path, folder: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[RealNode, Firewalld, tuple[str, str]]]:
    ours, theirs = request.param
    node = RealNode(tmp_path, environ=OURS[ours])
    wall = Firewalld(folder / "w", node.netns, theirs)
    yield node, wall, request.param
    wall.close()
    node.close()


def theirs(node: RealNode) -> list[str]:
    """firewalld's rules, wherever they are."""
    saved = [run(node, "nft", "-s", "list", "ruleset")]
    saved += [run(node, f"{one}-legacy-save") for one in ("iptables", "ip6tables")]
    lines = "\n".join(saved).splitlines()
    marks = ("_ZONES", "IN_public", "FWD_", "_direct", "firewalld", "filter_", "mangle_", "nat_")
    return sorted({one.partition(" [")[0].strip() for one in lines if any(m in one for m in marks)})


def test_policy_holds_while_firewalld_comes_reloads_and_goes(
    place: tuple[RealNode, Firewalld, tuple[str, str]],
) -> None:
    node, wall, pair = place
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    until(lambda: reaches(client, server, 5000), "the allowed packets")
    steps = {
        "trust": lambda: wall.command("--zone=trusted", "--add-interface=cali+"),
        "keep": lambda: wall.command("--runtime-to-permanent"),
        "reload": lambda: wall.command("--reload"),
        "complete reload": lambda: wall.command("--complete-reload"),
    }
    with flowing(client, server, 5100) as denied:
        wall.start()  # of zones that it does not know it forwards nothing
        for what, step in steps.items():
            step()
            _settled(client, server, denied, what)
        made = theirs(node)
        wall.command("--reload")
        _settled(client, server, denied, "another reload")
        assert theirs(node) == made
        wall.stop()
        _settled(client, server, denied, "the end")
    if pair[0] == "nftables":  # firewalld empties iptables' tables: ours are open until the repair
        assert not denied.arrived


def _settled(client, server, denied, what: str) -> None:
    """What is denied is shut: at once, or after the first look."""

    def is_shut() -> bool:
        arrived, sent = len(denied.arrived), denied.sent
        until(lambda: denied.sent > sent + 50, "packets")
        return len(denied.arrived) == arrived

    until(is_shut, f"policy after {what}")
    until(lambda: reaches(client, server, 5000), f"the allowed packets after {what}")
