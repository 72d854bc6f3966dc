"""The lab's network, by real packets: all of it is connected; the machine itself is untouched."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.lab import containers, fabric, probing
from tortie.lab.errors import LabError
from tortie.lab.journal import Journal
from tortie.lab.matrix import Matrix, Party, Port
from tortie.lab.plan import Plan, plan_lab
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace, names
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes

pytestmark = pytest.mark.root
PORTS = (Port("tcp", 80), Port("udp", 53))


def raised(labs: Path, name: str, nodes: int) -> tuple[Plan, Journal]:
    """A lab's network with a process in each station, no agents."""
    plan, journal = plan_lab(name, nodes), Journal(name, labs)
    journal.create(nodes)
    fabric.ensure_router(plan, journal)
    for node in plan.nodes:
        fabric.ensure_node(plan, node, journal)
        containers.ensure_host_process(journal, node)
    for host in plan.outside:
        fabric.ensure_outside(plan, host, journal)
        containers.ensure_host_process(journal, host)
    return plan, journal


def probed(plan: Plan, journal: Journal) -> Matrix:
    """Who of the stations reaches whom."""
    stations = (*plan.nodes, *plan.outside)
    parties = [Party(station.name, station.address_text, PORTS) for station in stations]
    controls = {station.name: journal.control_socket(station.name) for station in stations}

    async def run() -> Matrix:
        for party in parties:
            await probing.listen(controls[party.name], party)
        return await probing.probe(parties, controls, 60.0)

    return asyncio.run(run())


def lab_name(suffix: str) -> str:
    """A name that no other run of the tests has."""
    return f"t{os.getpid()}-{suffix}"


@pytest.fixture
def machine() -> Iterator[None]:
    """Be in a namespace that stands for the machine: in the real one others are at work."""
    name = f"t{os.getpid()}-machine"
    path = create_named(name)
    try:
        with in_namespace(path):
            yield
    finally:
        delete_named(name)


def own_network() -> tuple[list[object], list[object]]:
    """The links and routes of the machine's own namespace, as far as they are nobody's traffic."""
    with NetlinkSocket() as sock:
        links = [(link.name, link.kind, link.mac, link.up) for link in Links(sock).list()]
        return sorted(links), sorted(map(str, Routes(sock).list(4)))


def test_every_station_reaches_every_other_by_its_own_address(labs: Path) -> None:
    plan, journal = raised(labs, lab_name("all"), 3)
    matrix = probed(plan, journal)
    assert matrix.open_flows == matrix.flows == 5 * 4 * 2
    addresses = {party.name: party.address for party in matrix.parties}
    assert all(a.seen_as == addresses[flow.source] for flow, a in matrix.answers.items())


@pytest.mark.usefixtures("machine")
def test_the_machine_itself_is_not_touched(labs: Path) -> None:
    before = own_network()
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    raised(labs, lab_name("own"), 2)
    assert own_network() == before
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == forwarding


def test_doing_it_again_changes_nothing(labs: Path) -> None:
    name = lab_name("twice")
    plan, journal = raised(labs, name, 2)
    processes = journal.processes()
    raised(labs, name, 2)
    assert journal.processes() == processes
    assert probed(plan, journal).open_flows == 4 * 3 * 2


def test_what_a_killed_run_left_undone_is_completed(labs: Path) -> None:
    name = lab_name("half")
    plan, journal = plan_lab(name, 2), Journal(name, labs)
    journal.create(2)
    journal.record_namespace(plan.router)
    create_named(plan.router)
    journal.record_namespace(plan.nodes[0].namespace)
    # Killed between the making of the file and of the namespace.
    (fabric.path_of(plan.nodes[0].namespace)).touch()
    plan, journal = raised(labs, name, 2)
    assert probed(plan, journal).open_flows == 4 * 3 * 2


def test_two_labs_at_once_have_the_same_addresses_and_nothing_in_common(labs: Path) -> None:
    one, two = raised(labs, lab_name("a"), 2), raised(labs, lab_name("b"), 3)
    assert probed(*one).open_flows == 4 * 3 * 2
    assert probed(*two).open_flows == 5 * 4 * 2


def test_a_namespace_that_the_lab_has_not_made_is_left_alone(labs: Path) -> None:
    plan, journal = plan_lab(lab_name("foreign"), 1), Journal(lab_name("foreign"), labs)
    journal.create(1)
    create_named(plan.router)
    try:
        with pytest.raises(LabError, match="that this lab has not made: remove it"):
            fabric.ensure_router(plan, journal)
        assert plan.router in names()
    finally:
        delete_named(plan.router)
