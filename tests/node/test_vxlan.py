"""A real agent and a pool with VXLAN: device, address and MTU."""

import pytest

from cni.node import RealNode, until
from tortie.api import Key
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.net import parse_prefix

pytestmark = pytest.mark.root


@pytest.fixture
def node(tmp_path):
    """A node with a VXLAN pool, whose agent is ready."""
    found = RealNode(tmp_path, vxlan="Always")
    try:
        found.start_ready()
        yield found
    finally:
        found.close()


def tunnel(node):
    """The node's VXLAN device and its IPv4 addresses, None without.

    Its address of IPv6 is the kernel's: it comes by itself, a moment after the device is up.
    """
    with in_namespace(node.netns), NetlinkSocket() as sock:
        link = Links(sock).find("vxlan.calico")
        try:
            found = [one.prefix for one in Links(sock).addresses("vxlan.calico")]
        except NetlinkError:  # it is not there, or went between the two questions
            return None
        return link and (link, [one for one in found if one.version == 4])


def is_whole(node):
    """Whether the device has its address, and the kernel sends by it."""
    found = tunnel(node)
    return bool(found and found[0].running and found[1])


def test_the_node_gets_a_tunnel_with_an_address_of_the_pool_and_pods_a_smaller_mtu(node):
    spec = until(lambda: _published(node), "the tunnel's address in the Node")
    own = parse_prefix(spec.ipv4_vxlan_tunnel_addr)
    until(lambda: tunnel(node) and own in tunnel(node)[1], "the device with its address")
    link, _ = tunnel(node)
    assert link.mac == spec.vxlan_tunnel_mac_addr
    netns, _ = node.attach("web")
    with in_namespace(netns), NetlinkSocket() as sock:
        assert Links(sock).get("eth0").mtu == 1450


def test_the_tunnel_survives_a_restart_as_it_was(node):
    until(lambda: is_whole(node), "the device with its address")
    before = tunnel(node)
    node.kill()
    node.start_ready()
    assert tunnel(node) == before


def test_the_tunnel_goes_with_its_pool(node):
    until(lambda: tunnel(node), "the device")
    node.store(lambda store: store.delete(Key("IPPool", "", "pool")))
    until(lambda: tunnel(node) is None, "the end of the device")
    until(lambda: not _published(node), "the end of its address")


def _published(node):
    spec = node.get(Key("Node", "", node.name)).spec
    return spec if spec.ipv4_vxlan_tunnel_addr else None
