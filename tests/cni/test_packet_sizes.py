"""What the kernel handles as one packet: workloads take over their node's uplink's sizes."""

import json
import socket
import subprocess
import threading

import pytest

from cni.node import BOUND, RealNode
from tortie.cni.interfaces import sizes_as
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.rtlink import Link, PacketSizes
from tortie.linux.netlink.sockets import NetlinkSocket

FIRST = 65_536
RAISED = PacketSizes(196_608, 393_216)
SENT = bytes(range(256)) * 65_536  # 16 MiB
LARGE = """table ip large {
    counter one { }
    chain forward { type filter hook forward priority 10; meta length > 65536 counter name one; }
}"""


def test_the_least_of_what_is_raised_is_taken_over():
    one, other = Link(1, "a", sizes=RAISED), Link(2, "b", sizes=PacketSizes(FIRST, 131_072))
    assert sizes_as([one]) == RAISED
    assert sizes_as([one, other]) == PacketSizes(0, 131_072)


def sizes(netns, name):
    """Of an interface in a namespace."""
    with in_namespace(netns), NetlinkSocket() as sock:
        return Links(sock).get(name).sizes


def raise_uplink(node):
    with in_namespace(node.netns), NetlinkSocket() as sock:
        Links(sock).set_sizes("eth0", RAISED)
    if sizes(node.netns, "eth0") != RAISED:
        pytest.skip("this kernel has no sizes of packets above 64 KiB for IPv4")


@pytest.mark.root
def test_both_ends_follow_a_raised_uplink_from_the_next_pod_on(ready_node):
    early, _ = ready_node.attach("early")
    assert sizes(early, "eth0").sent == FIRST
    raise_uplink(ready_node)
    late, _ = ready_node.attach("late")
    assert sizes(late, "eth0") == RAISED
    assert sorted(host_ends(ready_node)) == [PacketSizes(FIRST, FIRST), RAISED]
    assert sizes(early, "eth0").sent == FIRST


@pytest.mark.root
def test_packets_of_ipv6_keep_the_size_that_the_kernel_forwards(ready_node):
    raise_uplink(ready_node)
    subprocess.run(inside(ready_node.netns, "ip link set eth0 gso_max_size 196608"), check=True)
    netns, _ = ready_node.attach("web")
    told = subprocess.run(
        inside(netns, "ip -d -j link show eth0"), capture_output=True, check=True
    ).stdout
    assert json.loads(told)[0]["gso_max_size"] == FIRST


@pytest.mark.root
def test_packets_of_that_size_pass_policy_whole(ready_node):
    raise_uplink(ready_node)
    (source, _), (target, address) = (ready_node.attach(name) for name in ("one", "two"))
    nft(ready_node, "-f", "-", text=LARGE)
    assert streamed(source, target, address) == SENT
    assert large(ready_node) > 0


@pytest.mark.root
def test_nothing_is_followed_where_a_tunnel_is_on_the_way(tmp_path):
    node = RealNode(tmp_path, vxlan="Always")
    try:
        raise_uplink(node)
        node.start_ready()
        netns, _ = node.attach("web")
        assert sizes(netns, "eth0").sent == FIRST
    finally:
        node.close()


def inside(netns, command):
    return ["nsenter", f"--net={netns}", *command.split()]


def host_ends(node):
    return [sizes(node.netns, name) for name in node.links()]


def streamed(source, target, address):
    """What of SENT arrives."""
    address = address.partition("/")[0]
    with in_namespace(target):
        listener = socket.create_server((address, 5001))
    with in_namespace(source):
        sender = socket.socket()
    with listener, sender:
        sender.settimeout(BOUND)
        listener.settimeout(BOUND)
        sender.connect((address, 5001))
        receiver, _ = listener.accept()
        thread = threading.Thread(target=send_all, args=(sender,))
        thread.start()
        with receiver, receiver.makefile("rb") as file:
            receiver.settimeout(BOUND)
            found = file.read()
        thread.join()
        return found


def send_all(sender):
    sender.sendall(SENT)
    sender.shutdown(socket.SHUT_WR)


def nft(node, *words, text=""):
    with in_namespace(node.netns):
        return subprocess.run(
            ["nft", *words], input=text, text=True, capture_output=True, check=True, timeout=BOUND
        ).stdout


def large(node):
    """How many packets above 64 KiB were forwarded."""
    said = json.loads(nft(node, "-j", "list", "counter", "ip", "large", "one"))
    return next(one["counter"]["packets"] for one in said["nftables"] if "counter" in one)
