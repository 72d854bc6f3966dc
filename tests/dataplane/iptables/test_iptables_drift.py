"""An agent whose firewall is iptables puts right what others do to it, under traffic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.test_drift import contest, flowing, noticed, repaired, run
from agent.test_process import only_port
from cni.node import RealNode, until
from cni.traffic import reaches
from tortie.dataplane.iptables import Backend

pytestmark = pytest.mark.root
DAMAGES = (
    "-F",
    "-t raw -F",
    "-D FORWARD 1",
    "-I FORWARD 1 -s 192.0.2.7 -j ACCEPT",
    "-F cali-FORWARD",
)


@pytest.fixture(params=Backend)
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealNode]:
    settings = {"FELIX_NFTABLESMODE": "Disabled", "FELIX_IPTABLESBACKEND": str(request.param)}
    made = RealNode(tmp_path, environ=settings)
    made.iptables = (f"iptables-{request.param}", "-w")
    yield made
    made.close()


def rules(node: RealNode) -> list[str]:
    """What is there in all tables, but for counters and what is of others."""
    program = node.iptables[0]
    saved = "\n".join(
        run(node, f"{one}-save") for one in (program, program.replace("ip", "ip6", 1))
    )
    lines = [line.partition(" [")[0] for line in saved.splitlines()]
    kept = [line for line in lines if line.startswith((":cali", "-A")) and "192.0.2" not in line]
    return [*sorted(kept), next(line for line in lines if line.startswith("-A FORWARD"))]


def test_damage_is_repaired_and_what_is_denied_stays_shut(node: RealNode) -> None:
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    until(lambda: reaches(client, server, 5000), "the allowed packets")
    run(node, *node.iptables, "-A", "FORWARD", "-s", "192.0.2.9", "-j", "DROP")
    healthy = rules(node)
    with flowing(client, server, 5100) as denied:
        for damage in DAMAGES:
            before = contest(node, "iptables")["repairs"]
            run(node, *node.iptables, *damage.split())
            repaired(lambda: rules(node) == healthy, damage)
            since = denied.sent + 2  # those being sent at this moment may be on their way
            until(lambda last=since: denied.sent > last + 20, "packets")
            arrived = [one for one in denied.arrived if one >= since]
            assert not arrived, damage
            until(lambda b=before: contest(node, "iptables")["repairs"] > b, f"{damage} to be told")
    run(node, "ipset", "flush")
    until(lambda: "add " in run(node, "ipset", "save"), "the members")
    assert reaches(client, server, 5000)
    assert "192.0.2.7" in run(node, f"{node.iptables[0]}-save")  # of others: it stays, behind ours


def test_a_quarrel_is_bounded_and_told(node: RealNode) -> None:
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    node.attach("client", app="client")
    healthy = rules(node)

    def quarrel() -> object:
        for _ in range(5):
            run(node, *node.iptables, "-F", "cali-FORWARD")
        return contest(node, "iptables").get("contested")

    until(quarrel, "the word of a quarrel")
    repaired(lambda: rules(node) == healthy, "the quarrel")
    assert "keep changing what is ours" in node.log.read_text()


def test_our_own_changes_make_nobody_look(node: RealNode) -> None:
    node.start_ready()
    for number in range(5):
        node.applied(node.put(only_port(6000 + number, f"other-{number}")))
    told = noticed(node, "iptables", [*node.iptables, "-F", "cali-FORWARD"])
    assert told["changes"] == 1
