"""The driver of WireGuard with a device, a table and links in memory: what it does, in which order.

With real devices and packets it is in `test_wireguard_driver.py`. Here are faults, and what no
packet tells.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dataplane.memory_links import Memory, opened
from dataplane.test_wireguard_desired import BLOCKS, DELTAS, host, key, route
from linux.test_wireguard_codecs import Model
from tortie.agent import wireguard as metrics_module
from tortie.agent.wireguard import WireguardMetrics, devices_of
from tortie.dataplane.tunnels.underlay import Refused
from tortie.dataplane.wireguard import Keys, WireguardDriver, WireguardSettings, public_key
from tortie.dataplane.wireguard import device as devices
from tortie.dataplane.wireguard import driver as driver_module
from tortie.dataplane.wireguard.desired import DesiredWireguard, Way
from tortie.dataplane.wireguard.device import found
from tortie.dataplane.wireguard.peers import Peers
from tortie.dataplane.wireguard.silence import Silence, Waits
from tortie.engine.delta import Delta, Host, WireguardEnd
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import Link
from tortie.linux.wguapi import NoAnswer, UserspaceWireguard
from tortie.linux.wireguard import Device, DeviceChange, Peer, PrivateKey
from tortie.linux.wireguard import Endpoint as WireguardEndpoint
from tortie.net import Prefix, parse_prefix

MAINS = {4: parse_prefix("172.16.1.1/24"), 6: parse_prefix("fd00:1::1/64")}


class MemoryDevice:
    """A device of WireGuard, as far as `Peers` can tell."""

    def __init__(self) -> None:
        self.model = Model(Device())
        self.key: PrivateKey | None = None
        self.port = self.mark = 0
        self.changes: list[DeviceChange] = []
        self.refusal: OSError | None = None

    def read(self) -> Device:
        return replace(self.model.device(self.key), port=self.port, mark=self.mark)

    def write(self, change: DeviceChange) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.changes.append(change)
        self.key = change.private_key or self.key
        self.port = self.port if change.port is None else change.port
        self.mark = self.mark if change.mark is None else change.mark
        for peer in change.peers:
            self.model.change(peer)

    def close(self) -> None:
        """Nothing is held open."""

    def poked(self) -> set[bytes]:
        """The peers with whom keys were to be agreed on at once."""
        return {
            peer.public_key
            for change in self.changes
            for peer in change.peers
            if peer.keepalive == 25 and not peer.added and peer.allowed is None
        }


@given(st.lists(DELTAS, min_size=1, max_size=6), st.booleans())
def test_the_device_has_the_peers_that_follow_whatever_changed(
    tmp_path_factory: pytest.TempPathFactory, deltas: list[Delta], encrypts: bool
) -> None:
    run_dir = tmp_path_factory.getbasetemp()
    settings = WireguardSettings("me", run_dir, True, encrypts_hosts=encrypts, keepalive=3)
    desired, device = DesiredWireguard(settings), MemoryDevice()
    peers = Peers(device, settings, desired, lambda _: None)
    desired.fold(deltas[0])
    peers.settle()
    for delta in deltas[1:]:
        peers.write(desired.fold(delta).nodes)
        assert device.read().peers == desired.peers()
    device.changes.clear()
    Peers(device, settings, desired, lambda _: None).settle()
    assert device.changes == []


class MemoryTable:
    """A routing table that remembers what was asked of it."""

    def __init__(self, log: list[str]) -> None:
        self.log, self.held, self.refused = log, dict[Prefix, tuple[Way, int]](), set[Prefix]()

    def read(self) -> set[Prefix]:
        return {*self.held}

    def write(self, wanted: Iterable[tuple[Prefix, Way | None]], device: int) -> dict[Prefix, str]:
        failed = {}
        for destination, way in wanted:
            self.log.append("route")
            if destination in self.refused:
                failed[destination] = "refused"
            elif way is None:
                self.held.pop(destination, None)
            else:
                self.held[destination] = way, device
        return failed

    def route_by_rule(self, wanted: bool) -> None:
        self.log.append("rule" if wanted else "no rule")


class Machine:
    """A node, `version` its WireGuard's, and all that its driver acts on."""

    def __init__(self, run_dir: Path, version: int = 4, **settings: object) -> None:
        wanted = WireguardSettings("me", run_dir, enabled=True, version=version)
        self.settings = replace(wanted, **settings)
        self.links, self.device, self.log = Memory(MAINS[version]), MemoryDevice(), list[str]()
        self.table = MemoryTable(self.log)
        self.told: list[str] = []
        self.kind, self.loosened, self.threaded = "tun", list[str](), list[bool]()
        self.refusal: Exception | None = None
        self.now = 0.0
        silence = Silence(Waits(5.0, 0.5, 20.0), lambda: self.now)
        self.driver = WireguardDriver(self.settings, self._tell, opened, silence)

    def _tell(self, _version: int, public: str) -> None:
        self.log.append("told")
        self.told.append(public)

    def open_device(self, settings: WireguardSettings, *_: object) -> MemoryDevice:
        if self.refusal is not None:
            raise self.refusal
        if settings.device not in self.links.held:
            self.links.add(Link(9, settings.device, self.kind, mtu=1420))
        self.log.append("device")
        return self.device

    def own(self, public: str = "") -> Host:
        """Our Node, with a key where one is given."""
        end = WireguardEnd(public, parse_prefix("10.65.0.1")) if public else None
        main = MAINS[self.settings.version]
        if self.settings.version == 4:
            return Host("me", main, wireguard=end)
        return Host("me", None, main, wireguard_v6=end)

    def began(self, *delta: Delta) -> "Machine":
        """Its device is there, and its key is published."""
        assert self.driver.apply(Delta(hosts={"me": self.own()})).failed == ()
        self.publish()
        for one in delta:
            assert self.driver.apply(one).failed == ()
        return self

    def publish(self) -> None:
        assert self.driver.apply(Delta(hosts={"me": self.own(self.told[-1])})).failed == ()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def made(version: int = 4, **settings: object) -> Machine:
        machine = Machine(tmp_path / "run", version, **settings)
        monkeypatch.setattr(WireguardDriver, "_links", property(lambda _: machine.links))
        monkeypatch.setattr(driver_module, "WireguardTable", lambda *_: machine.table)
        monkeypatch.setattr(driver_module, "loosen", machine.loosened.append)
        monkeypatch.setattr(devices, "opened", machine.open_device)
        monkeypatch.setattr(devices, "remove_former", lambda *_: [])
        switch = machine.threaded.append
        monkeypatch.setattr(driver_module, "set_threaded", lambda _n, _i, wanted: switch(wanted))
        return machine

    return made


Make = Callable[..., Machine]
OTHER = Delta(hosts={"b": host("b", 2)}, routes={BLOCKS[1]: route(BLOCKS[1], "b")})


def test_a_key_is_told_once_the_device_has_it_and_used_once_it_is_published(make: Make) -> None:
    machine = make()
    machine.device.refusal = OSError("the device refuses")
    [failure] = machine.driver.apply(Delta(hosts={"me": machine.own()})).failed
    assert (failure.subject, failure.message) == ("wireguard.cali", "the device refuses")
    assert machine.told == []
    machine.device.refusal = None
    assert machine.driver.resync().failed == ()
    [public] = set(machine.told)
    assert machine.device.key is not None
    assert public_key(machine.device.key) == public
    machine.publish()
    renewed = Keys(machine.settings.keys_file).rotate()
    assert machine.driver.resync().failed == ()
    assert machine.told[-1] == renewed
    assert public_key(machine.device.key) == public  # others send by this one
    assert machine.driver.apply(Delta(hosts={"me": machine.own(renewed)})).failed == ()
    assert public_key(machine.device.key) == renewed
    assert Keys(machine.settings.keys_file).holding(public) is None


@pytest.mark.parametrize(
    ("version", "given", "mtu"), [(4, 0, 1440), (6, 0, 1420), (4, 1300, 1300), (6, 1300, 1300)]
)
def test_the_device_is_made_as_it_should_be(make: Make, version: int, given: int, mtu: int) -> None:
    machine = make(version, mtu=given, port=51999, mark=0x40).began()
    device, link = machine.device, machine.links.held["wireguard.cali"]
    assert (device.port, device.mark) == (51999, 0x40)
    assert (link.mtu, link.up) == (mtu, True)
    assert machine.links.given["wireguard.cali"] == [parse_prefix("10.65.0.1")]
    machine.links.add(replace(link, up=False, mtu=9000), parse_prefix("10.1.1.1"))
    assert machine.driver.link_changed("wireguard.cali", "down").failed == ()
    assert machine.links.held["wireguard.cali"] == link
    assert machine.links.given["wireguard.cali"] == [parse_prefix("10.65.0.1")]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("encrypts", [True, False])
def test_the_uplink_is_loosened_where_nodes_are_encrypted(
    make: Make, version: int, encrypts: bool
) -> None:
    """IPv6 has no such check."""
    machine = make(version, encrypts_hosts=encrypts).began()
    assert set(machine.loosened) == ({"eth0"} if encrypts and version == 4 else set())


@pytest.mark.parametrize("wanted", [True, False])
def test_threads_are_for_the_kernels_own_device(make: Make, wanted: bool) -> None:
    assert make(threaded=wanted).began().threaded == []
    machine = make(threaded=wanted)
    machine.kind = "wireguard"
    assert set(machine.began().threaded) == {wanted}


def test_no_rule_leads_to_the_table_before_it_is_whole(make: Make) -> None:
    """What is to be encrypted would be sent in clear by the main table meanwhile."""
    machine = make().began(OTHER)
    again = WireguardDriver(machine.settings, machine._tell, opened)
    again.fold(Delta(hosts={"me": machine.own(machine.told[-1]), **OTHER.hosts}))
    again.fold(Delta(routes=OTHER.routes))
    machine.log.clear()
    assert again.resync().failed == ()
    assert machine.log[-1] == "rule"
    assert machine.log.count("rule") == 1
    assert machine.log.count("route") >= 2


def test_where_it_is_off_nothing_waits_to_be_written_and_all_comes_once_it_is_on(
    make: Make,
) -> None:
    machine = make(enabled=False)
    machine.driver.fold(OTHER)
    assert machine.driver.apply(Delta(hosts={"me": machine.own()})).failed == ()
    for _ in range(2):
        assert machine.driver.apply(OTHER).failed == ()
        assert (machine.driver._pending, machine.driver._pending_nodes) == (set(), set())
    assert machine.driver.configure(replace(machine.settings, enabled=True))
    assert machine.driver.resync().failed == ()
    machine.publish()
    assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 9)
    assert machine.device.read().peers.keys()


def test_a_node_that_takes_no_part_yet_encrypts_nothing(make: Make) -> None:
    machine = make()
    assert machine.driver.apply(Delta(hosts={"me": machine.own()})).failed == ()
    assert machine.driver.apply(OTHER).failed == ()
    assert "rule" not in machine.log
    assert machine.table.held == {}
    machine.publish()
    assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 9)


def test_without_a_device_all_is_dropped_and_named_until_there_is_one(make: Make) -> None:
    machine = make().began(OTHER)
    machine.refusal = Refused("there is none")
    for driver in (machine.driver, WireguardDriver(machine.settings, machine._tell, opened)):
        driver.fold(Delta(hosts={"me": machine.own(machine.told[-1])}))
        driver.fold(OTHER)
        [failure] = driver.resync().failed
        assert failure.message == "there is none"
        assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 0)  # no device: a black hole
        assert machine.log[-1] == "rule"
    machine.refusal = None
    assert machine.driver.resync().failed == ()
    assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 9)


def test_a_route_that_is_refused_is_named_and_tried_again(make: Make) -> None:
    machine = make().began()
    machine.table.refused.add(BLOCKS[1])
    [failure] = machine.driver.apply(OTHER).failed
    assert (failure.subject, failure.message) == (str(BLOCKS[1]), "refused")
    assert machine.driver.apply(Delta()).failed == (failure,)
    machine.table.refused.clear()
    assert machine.driver.apply(Delta()).failed == ()
    assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 9)


def test_two_nodes_with_one_key_are_named_until_one_has_another(make: Make) -> None:
    machine = make().began(OTHER)
    clashing = Delta(hosts={"c": host("c", 2)})
    [failure] = machine.driver.apply(clashing).failed
    assert (failure.subject, "node b's already" in failure.message) == ("node c", True)
    assert machine.driver.resync().failed == (failure,)
    assert machine.driver.apply(Delta(hosts={"c": host("c", 3)})).failed == ()
    assert len(machine.device.model.peers) == 2


def test_keys_are_agreed_on_at_once_with_nodes_that_are_new_to_the_device(make: Make) -> None:
    machine = make().began()
    b, c = bytes([2]) * 32, bytes([3]) * 32
    machine.device.changes.clear()
    machine.driver.apply(OTHER)
    assert machine.device.poked() == {b}
    assert machine.device.model.peers[b][1] == 0  # and then never by itself
    machine.device.changes.clear()
    machine.driver.apply(Delta(routes_removed=frozenset({BLOCKS[1]})))
    assert machine.device.poked() == set()
    again = WireguardDriver(machine.settings, machine._tell, opened)
    hosts = {"me": machine.own(machine.told[-1]), "b": host("b", 2), "c": host("c", 3)}
    again.fold(Delta(hosts=hosts))
    assert again.resync().failed == ()
    assert machine.device.poked() == {c}
    renewed = Keys(machine.settings.keys_file).rotate()
    machine.device.changes.clear()
    again.apply(Delta(hosts={"me": machine.own(renewed)}))
    assert machine.device.poked() == {b, c}  # nobody's agreement holds with another key


def test_a_node_that_is_new_leaves_that_to_the_many_that_learn_of_it(make: Make) -> None:
    machine = make().began()
    end = WireguardEnd
    many = {
        f"n{n:02}": Host(f"n{n:02}", parse_prefix(f"172.16.2.{n}/24"), wireguard=end(key(n + 9)))
        for n in range(33)
    }
    machine.device.changes.clear()
    machine.driver.apply(Delta(hosts=many))
    assert len(machine.device.model.peers) == 33
    assert machine.device.poked() == set()


def test_other_settings_are_in_force_with_the_next_write(make: Make) -> None:
    machine = make().began(OTHER)
    assert not machine.driver.configure(machine.settings)
    other = replace(machine.settings, port=51999, keepalive=7, encrypts_hosts=True)
    assert machine.driver.configure(other)
    assert machine.driver.apply(Delta()).failed == ()
    [(endpoint, keepalive)] = machine.device.model.peers.values()
    assert (endpoint.port, keepalive, machine.device.port) == (51999, 7, 51999)
    assert parse_prefix("172.16.1.2") in machine.device.model.owner
    assert machine.table.held[parse_prefix("172.16.1.2")] == (Way.DEVICE, 9)


def test_a_device_that_does_not_answer_is_waited_for_less_and_then_made_anew(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = make().began(OTHER)
    ended: list[str] = []
    monkeypatch.setattr(driver_module.process, "end", lambda _, device: ended.append(device))
    machine.refusal = NoAnswer("it hangs")
    for seconds in (0.0, 10.0, 19.0):
        machine.now = seconds
        [failure] = machine.driver.resync().failed
        assert "it is ended, and another one begun" in failure.message
        assert machine.driver._silence.patience == 0.5
        assert ended == []
    assert machine.table.held[BLOCKS[1]] == (Way.DEVICE, 9)
    machine.now, machine.refusal = 20.0, None
    assert machine.driver.resync().failed == ()
    assert ended == ["wireguard.cali"]
    assert machine.driver._silence.patience == 5.0


@pytest.mark.parametrize("kind", ["bridge", "veth", ""])
def test_what_somebody_else_made_is_never_taken_for_the_device(tmp_path: Path, kind: str) -> None:
    """Not even where wireguard-go has left its socket."""
    links = Memory(MAINS[4])
    settings = WireguardSettings("me", tmp_path)
    (tmp_path / "wireguard").mkdir()
    (tmp_path / "wireguard" / "wireguard.cali.sock").touch()
    seen = cast(Links, links)
    assert found(settings, seen) is None
    links.add(Link(9, settings.device, kind))
    with pytest.raises(Refused, match="rename it"):
        found(settings, seen)
    links.add(Link(9, settings.device, "tun"))
    assert isinstance(found(settings, seen), UserspaceWireguard)


@pytest.mark.parametrize("version", [4, 6])
def test_metrics_tell_of_each_device_and_peer(
    make: Make, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = make(version).began()
    main = parse_prefix("172.16.1.2" if version == 4 else "fd00:1::2")
    peer = Peer(bytes([2]) * 32, WireguardEndpoint(main, 51820), 0, frozenset(), 1, 22, 333)
    held = replace(machine.device.read(), peers={peer.public_key: peer})
    monkeypatch.setattr(machine.device, "read", lambda: held)
    monkeypatch.setattr(metrics_module, "found", lambda *_: machine.device)
    monkeypatch.setattr(metrics_module, "NetlinkSocket", lambda: nullcontext())
    told = WireguardMetrics("n1", lambda: [machine.settings]).collect()
    found = {one.name: one for each in told for one in each.samples}
    names = ("latest_handshake_seconds", "bytes_rcvd", "bytes_sent")
    assert [found[f"wireguard_{name}"].value for name in names] == [1, 22, 333]
    end = "172.16.1.2:51820" if version == 4 else "[fd00:1::2]:51820"
    labels = found["wireguard_bytes_sent"].labels
    assert (labels["peer_endpoint"], labels["peer_key"]) == (end, key(2))
    assert labels["public_key"] == machine.told[-1] == found["wireguard_meta"].labels["public_key"]


def test_metrics_are_of_devices_that_are_on_where_they_are_wanted(tmp_path: Path) -> None:
    on, off = (WireguardSettings("n1", tmp_path, enabled=is_on) for is_on in (True, False))
    assert list(devices_of(True, {4: on, 6: off})) == [on]
    assert list(devices_of(False, {4: on, 6: off})) == []
