"""What others change of what is ours is put right at once, under traffic, and theirs is left alone.

The timer that also looks is 90 s; all waits here are shorter.
"""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.test_process import only_port, page
from cni.node import RealNode, until
from cni.traffic import Flow, reaches
from tortie.kubernetes.names import interface_name
from tortie.linux.namespaces import in_namespace

pytestmark = pytest.mark.root

FOREIGN = (
    "table inet theirs { chain c { type filter hook forward priority -5; tcp dport 9 drop; }; }"
)


def run(node, *command):
    return subprocess.run(
        ["nsenter", f"--net={node.netns}", *command], capture_output=True, text=True, check=True
    ).stdout


def tables(node):
    """Our tables' text, in an order that does not tell when something was made."""
    parts = [run(node, "nft", "-s", "list", "table", family, "calico") for family in ("ip", "ip6")]
    return sorted("\n".join(parts).splitlines())


def network(node):
    """The tunnel device's addresses and entries."""
    device = json.loads(run(node, "ip", "-j", "address", "show", "vxlan.calico"))[0]
    addresses = sorted(one["local"] for one in device["addr_info"] if one["scope"] == "global")
    entries = run(node, "bridge", "fdb", "show", "dev", "vxlan.calico")
    neighbours = run(node, "ip", "neighbour", "show", "dev", "vxlan.calico")
    return addresses, sorted(entries.splitlines()), sorted(neighbours.splitlines())


def contest(node, driver):
    """What the agent says of others' changes to this driver's state."""
    found = [one for one in node.ask("status")["contests"] if one["driver"] == driver]
    return found[0] if found else {"changes": 0, "repairs": 0}


def noticed(node, driver, command):
    """What is told of this driver's state once a change by others is: of what was before, too."""
    before = contest(node, driver)["repairs"]
    run(node, *command)
    until(lambda: contest(node, driver)["repairs"] > before, f"news of {' '.join(command)}")
    return contest(node, driver)


def repaired(wanted, what):
    """Wait until it is put right."""

    def is_right():
        try:
            return wanted()
        except subprocess.CalledProcessError:  # what is asked for is not even there
            return False

    until(is_right, f"repair after {what}")


@contextmanager
def flowing(client, server, port):
    flow = Flow(client, server, port)
    try:
        yield flow
    finally:
        flow.stop()


@pytest.fixture
def busy(node):
    """A node with traffic that is allowed and traffic that is not."""
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    until(lambda: reaches(client, server, 5000), "the allowed packets")
    return node, client, server


def _handle(node, chain):
    listed = run(node, "nft", "-a", "list", "chain", "ip", "calico", chain)
    return listed.rpartition("# handle ")[2].split()[0]


DAMAGES = {
    "flush ruleset": "flush ruleset",
    "delete table": "delete table ip calico",
    "flush table": "flush table ip calico",
    "delete chain": "flush chain ip calico cali-FORWARD; delete chain ip calico cali-FORWARD",
    "delete rule": "delete rule ip calico cali-FORWARD handle HANDLE",
    "insert rule": "insert rule ip calico cali-FORWARD accept",
    "delete set": (
        "flush chain ip calico cali-POSTROUTING; delete set ip calico cali40masq-ipam-pools"
    ),
    "delete element": 'delete element ip calico cali-to-wl { "INTERFACE" }',
    "change policy": "chain ip calico cali-FORWARD { policy drop; }",
    "dormant": "add table ip calico { flags dormant; }",
}


def damaging(node, damage):
    """The command, with what only this node has."""
    handle = _handle(node, "cali-FORWARD")
    return damage.replace("HANDLE", handle).replace("INTERFACE", min(node.links()))


def test_every_damage_to_the_tables_is_repaired_at_once_under_traffic(busy):
    node, client, server = busy
    healthy = tables(node)
    shut = []  # (what, first and last number of packets that were sent while all was well)
    with flowing(client, server, 5100) as denied:
        for what, damage in DAMAGES.items():
            run(node, "nft", f"add {FOREIGN}")
            before = contest(node, "nftables")["repairs"]
            run(node, "nft", damaging(node, damage))
            repaired(lambda: tables(node) == healthy, what)
            since = denied.sent + 2  # those being sent at this moment may be on their way
            until(lambda last=since: denied.sent > last + 100, "packets")
            shut.append((what, since, denied.sent))
            until(lambda b=before: contest(node, "nftables")["repairs"] > b, f"{what} to be told")
            if what != "flush ruleset":
                assert "dport 9 drop" in run(node, "nft", "list", "table", "inet", "theirs")
    for what, first, last in shut:
        assert not [one for one in denied.arrived if first <= one <= last], what
    assert reaches(client, server, 5000)
    assert "nft (process" in node.log.read_text()


def test_a_quarrel_is_bounded_and_told(busy):
    node, client, server = busy
    healthy = tables(node)

    def quarrel():
        for _ in range(20):
            run(node, "nft", "flush", "ruleset")
        return contest(node, "nftables").get("contested")

    until(quarrel, "the word of a quarrel")
    repaired(lambda: tables(node) == healthy, "the quarrel")
    assert "keep changing what is ours" in node.log.read_text()
    assert 'tortie_dataplane_contested{driver="nftables"} 1.0' in page(node, 9091, "/metrics")[1]
    assert not reaches(client, server, 5001, attempts=1)


def test_changes_of_other_tables_cost_no_look(busy):
    node, _, _ = busy
    healthy = tables(node)
    for number in range(50):
        run(node, "nft", f"add {FOREIGN}; add chain inet theirs c{number}")
    assert tables(node) == healthy
    node.applied(node.put(only_port(6000, "other")))  # our own doing is no news either
    assert noticed(node, "nftables", ["nft", "flush", "table", "ip", "calico"])["changes"] == 1


def test_a_flush_before_the_first_picture_is_shut(node):
    """The agent came up while its datastore is away: what nothing is known of lets nothing pass."""
    node.start_ready()
    node.applied(node.put(only_port(5000)))
    client, server = node.attach("client", app="client"), node.attach("server", app="server")
    until(lambda: reaches(client, server, 5000), "the allowed packets")
    database = Path(node.database.removeprefix("sqlite:"))
    database.parent.rename(database.parent.with_name("away"))
    until(lambda: not node.is_ready(), "news of the loss")
    healthy = tables(node)
    run(node, "nft", "flush", "ruleset")
    repaired(lambda: tables(node) == healthy, "a flush without a datastore")
    assert reaches(client, server, 5000)
    assert not reaches(client, server, 5001, attempts=1)
    node.kill()
    run(node, "nft", "flush", "ruleset")
    assert reaches(client, server, 5001)
    away = database.parent.with_name("away")
    away.rename(database.parent)
    node.start_ready()
    repaired(lambda: tables(node) == healthy, "a flush while the agent was down")
    assert not reaches(client, server, 5001, attempts=1)


def test_an_interface_that_somebody_sets_down_is_named_until_it_is_up_again(busy):
    node, client, server = busy
    link = min(node.links())
    run(node, "ip", "link", "set", link, "down")
    until(lambda: f"interface {link} is down" in str(node.ask("status")["failures"]), "its name")
    run(node, "ip", "link", "set", link, "up")
    until(lambda: not node.ask("status")["failures"], "the end of it")
    until(lambda: reaches(client, server, 5000), "the allowed packets")


def test_routes_are_put_back_and_others_are_left_alone(busy):
    node, client, server = busy
    run(node, "ip", "route", "add", "blackhole", "203.0.113.0/24")
    healthy = run(node, "ip", "route")
    address = server[1].partition("/")[0]
    for damage in (
        ["ip", "route", "delete", address],
        ["ip", "route", "flush", "proto", "80"],
        ["ip", "route", "add", "blackhole", "198.51.100.0/24", "proto", "80"],
    ):
        run(node, *damage)
        repaired(lambda: run(node, "ip", "route") == healthy, " ".join(damage))
    theirs = ["blackhole", address, "metric", "1024"]
    run(node, "ip", "route", "replace", *theirs)  # somebody's own: it is named, and left there
    until(lambda: "that is not ours has its place" in str(node.ask("status")["failures"]), "a word")
    run(node, "ip", "route", "delete", *theirs)
    repaired(lambda: run(node, "ip", "route") == healthy, "the end of a foreign route")
    assert reaches(client, server, 5000)
    before = noticed(node, "routes", ["ip", "route", "delete", address])["changes"]
    for number in range(50):
        run(node, "ip", "route", "replace", "blackhole", f"192.0.2.{number}", "proto", "bird")
    told = noticed(node, "routes", ["ip", "route", "delete", address])
    assert told["changes"] == before + 1


def test_the_tunnel_is_put_back(tmp_path):
    node = RealNode(tmp_path, vxlan="Always")
    try:
        node.start_ready()
        until(lambda: "vxlan.calico" in run(node, "ip", "-br", "link"), "the tunnel device")
        until(lambda: network(node)[0], "its address")
        healthy = network(node)
        (address,), mac = healthy[0], "02:00:00:00:00:09"
        for damage in (
            ["ip", "address", "delete", f"{address}/32", "dev", "vxlan.calico"],
            ["ip", "address", "add", "10.99.0.1/32", "dev", "vxlan.calico"],
            ["bridge", "fdb", "add", mac, "dev", "vxlan.calico", "dst", "192.0.2.1"],
            ["ip", "neighbour", "add", "10.9.9.9", "lladdr", mac, "dev", "vxlan.calico"],
            ["ip", "link", "delete", "vxlan.calico"],
        ):
            run(node, *damage)
            repaired(lambda: network(node) == healthy, " ".join(damage))
    finally:
        node.close()


SETTINGS = [
    ("net/ipv4/conf/{0}/rp_filter", "0"),
    ("net/ipv4/conf/{0}/proxy_arp", "0"),
    ("net/ipv4/conf/{0}/forwarding", "0"),
    ("net/ipv6/conf/{0}/proxy_ndp", "0"),
    ("net/ipv4/ip_forward", "0"),
]


def test_settings_of_interfaces_are_put_right_at_once(busy):
    """Those that the kernel tells of; with one of them all of its interface's are looked at."""
    node, interface = busy[0], interface_name("default", "client")
    silent = f"net/ipv4/conf/{interface}/route_localnet"
    for name, value in SETTINGS:
        setting = name.format(interface)
        before = sysctl_of(node, setting)
        assert before != value
        set_sysctl(node, silent, "0")
        set_sysctl(node, setting, value)
        repaired(lambda s=setting, b=before: sysctl_of(node, s) == b, setting)
        if "{0}" in name:
            repaired(lambda: sysctl_of(node, silent) == "1", silent)
    until(lambda: contest(node, "sysctls")["repairs"] >= len(SETTINGS), "their count")


def test_a_new_workload_is_no_change_by_others(busy):
    node, _, _ = busy
    node.attach("another", app="client")
    setting = f"net.ipv4.conf.{interface_name('default', 'client')}.rp_filter=0"
    assert noticed(node, "sysctls", ["sysctl", "-q", "-w", setting])["repairs"] == 1


def sysctl_of(node, name):
    return run(node, "cat", f"/proc/sys/{name}").strip()


def set_sysctl(node, name, value):
    with in_namespace(node.netns):
        Path("/proc/sys", name).write_text(value)
