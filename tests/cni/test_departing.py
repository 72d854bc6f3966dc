"""Interfaces that DEL shuts: closed at once, deleted a moment later, whatever is killed between."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cni.node import address_of, until
from cni.traffic import reaches
from tortie.cni import departing
from tortie.kubernetes import names
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.rtlink import Link, build_link_change
from tortie.linux.netlink.rtnetlink import RTM_SETLINK
from tortie.linux.netlink.sockets import NetlinkSocket, Request

PREFIXES = st.text("abcdefghij", min_size=1, max_size=8)
INDICES = st.integers(min_value=1, max_value=2**31 - 1)


@given(PREFIXES, INDICES, INDICES)
def test_each_index_has_a_name_of_its_own_that_the_kernel_takes(prefix, one, other):
    name = departing.departing_name(prefix, one)
    assert len(name) <= 15
    assert name.startswith(prefix)
    assert (name == departing.departing_name(prefix, other)) == (one == other)


@given(PREFIXES, INDICES, st.text(), st.text())
def test_no_workload_has_the_name_of_a_departing_interface(prefix, index, namespace, pod):
    assert departing.departing_name(prefix, index) != names.interface_name(namespace, pod, prefix)


@pytest.mark.parametrize(
    "link",
    [
        Link(7, "cali-7", "veth", group=departing.GROUP),
        Link(7, "cali-8", "veth", group=departing.GROUP, up=True),
    ],
)
def test_what_is_named_by_its_index_is_departing(link):
    assert departing.is_departing(link) == (link.name == "cali-7")


@pytest.mark.parametrize(
    "link",
    [
        Link(7, "cali-7", "veth"),
        Link(7, "cali-7", "dummy", group=departing.GROUP),
        Link(7, "eth0", "veth", group=departing.GROUP),
        Link(7, "cali0123456789a", "veth", group=departing.GROUP),
    ],
)
def test_what_lacks_one_of_the_marks_is_not_departing(link):
    assert not departing.is_departing(link)


@pytest.fixture
def inside():
    """A namespace that the test is in, another one, and what makes interfaces between them."""
    mine, theirs = (f"ttd{os.getpid()}{end}" for end in "ab")
    paths = [create_named(mine), create_named(theirs)]
    other = os.open(paths[1], os.O_RDONLY)
    try:
        with in_namespace(paths[0]), NetlinkSocket() as sock:
            yield Links(sock), other
    finally:
        os.close(other)
        delete_named(mine)
        delete_named(theirs)


@pytest.mark.root
def test_a_shut_interface_is_down_and_leaves_its_name(inside):
    links, other = inside
    links.create_veth("cali1", "eth0", other)
    links.set_up("cali1")
    index = links.get("cali1").index
    assert departing.shut("cali1", "cali")
    assert links.find("cali1") is None
    found = links.get(departing.departing_name("cali", index))
    assert not found.up
    assert departing.is_departing(found)
    assert not departing.shut("cali1", "cali")


@pytest.mark.root
def test_all_departing_interfaces_go_at_once(inside):
    links, other = inside
    for number in range(20):
        links.create_veth(f"cali{number}", f"eth{number}", other)
        departing.shut(f"cali{number}", "cali")
    links.create_veth("calikept", "kept", other)
    assert departing.purge() == 20
    assert {link.name for link in links.list()} == {"lo", "calikept"}
    assert departing.purge() == 0


@pytest.mark.root
def test_what_somebody_else_has_in_our_group_stays(inside):
    links, other = inside
    for name in ("cali1", "foreign"):
        links.create_veth(name, f"peer-{name}", other)
    with NetlinkSocket() as sock:
        change = build_link_change(links.get("foreign").index, group=departing.GROUP)
        sock.request(Request(RTM_SETLINK, change))
    departing.shut("cali1", "cali")
    assert departing.purge() == 1
    assert {link.name for link in links.list()} == {"lo", "foreign"}


@pytest.mark.root
def test_an_agent_deletes_what_a_killed_one_had_only_shut(ready_node):
    node = ready_node
    node.attach("web")
    node.kill()
    (name,) = node.links()
    with in_namespace(node.netns):
        assert departing.shut(name, names.INTERFACE_PREFIX)
    node.start_ready()
    until(lambda: not node.links(), "the end of the shut interface")


@pytest.mark.root
def test_a_successor_in_the_same_namespace_waits_for_the_one_before(ready_node):
    node = ready_node
    netns, _ = node.attach("web")
    client = node.attach("client")
    for number in range(5):
        before = f"id-{number - 1}" if number else "id-web"
        assert node.cni("DEL", before, netns, "web").returncode == 0
        added = node.cni("ADD", f"id-{number}", netns, "web")
        assert added.returncode == 0, added.stdout
    assert node.cni("CHECK", "id-4", netns, "web").returncode == 0
    assert reaches(client, (netns, address_of(added)), 5000)


@pytest.mark.root
def test_nothing_reaches_a_container_whose_deletion_was_answered(ready_node):
    """Even where the kernel keeps the device for a while, and somebody takes it up again."""
    node = ready_node
    client = node.attach("client")
    server = node.attach("server")
    assert reaches(client, server, 5000)
    index = _index(node, names.interface_name("default", "server"))
    node.kill()
    with in_namespace(node.netns), NetlinkSocket() as sock:
        departing.shut(names.interface_name("default", "server"), names.INTERFACE_PREFIX)
        assert not reaches(client, server, 5000, attempts=1)
        Links(sock).set_up(departing.departing_name(names.INTERFACE_PREFIX, index))
    assert not reaches(client, server, 5000, attempts=1)
    assert not reaches(server, client, 5000, attempts=1)


def _index(node, name):
    with in_namespace(node.netns), NetlinkSocket() as sock:
        return Links(sock).get(name).index
