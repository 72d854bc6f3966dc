"""A node with a real agent, traffic that policy allows and traffic that it doesn't, and churn.

`Siege` is what every fault is done to. Two flows must lose nothing, three must not get through, and
what policy says of them never changes while a thread changes all else without a pause: policies
before and behind theirs, the nets of the rule that denies, sets, labels, profiles.
"""

import asyncio
import itertools
import json
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

from msgspec.structs import replace

from cni.node import RealNode, until
from cni.traffic import Flow, reaches
from dataplane.proof.firewalls import Firewall
from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    GlobalNetworkSet,
    Key,
    NetworkSetSpec,
    ObjectMeta,
    Resource,
    Rule,
)
from tortie.datastore import Datastore, DatastoreError, open_datastore
from tortie.datastore.contract import NotFound

ALLOWED, WALLED, NEVER_ALLOWED, STRANGERS = 5000, 5001, 5002, 5003
PAGES = {
    "FELIX_HEALTHENABLED": "true",
    "FELIX_HEALTHHOST": "127.0.0.1",
    "FELIX_PROMETHEUSMETRICSENABLED": "true",
    "FELIX_PROMETHEUSMETRICSHOST": "127.0.0.1",
}


def policy(name: str, order: float, *ingress: Rule) -> GlobalNetworkPolicy:
    """A policy of ingress rules."""
    spec = GlobalNetworkPolicySpec(
        selector="app == 'server'", order=order, types=("Ingress",), ingress=ingress
    )
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=spec)


def _to(*ports: int) -> EntityRule:
    return EntityRule(ports=ports)


def opening() -> GlobalNetworkPolicy:
    """Clients may reach the server on one port, for good; one port more is behind the wall."""
    clients = EntityRule(selector="app == 'client'")
    return policy(
        "opening",
        100.0,
        Rule(action="Allow", protocol="UDP", source=clients, destination=_to(ALLOWED)),
        Rule(action="Allow", protocol="UDP", destination=_to(WALLED)),
        Rule(action="Allow", protocol="UDP", source=clients, destination=_to(STRANGERS)),
    )


def wall(*nets: str) -> GlobalNetworkPolicy:
    """What comes from these nets is denied, before it would be allowed."""
    source = EntityRule(nets=nets)
    return policy(
        "wall", 10.0, Rule(action="Deny", protocol="UDP", source=source, destination=_to(WALLED))
    )


class Churn:
    """A thread that changes what concerns none of the flows, as fast as the datastore takes it."""

    def __init__(self, node: RealNode, walled: str, seed: int) -> None:
        self._node, self._walled = node, walled
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.changes = 0
        self._thread.start()

    def stop(self) -> None:
        """End it; raises what went wrong in it."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._changes())
        except BaseException as problem:
            self._error = problem

    async def _changes(self) -> None:
        store = await open_datastore(self._node.settings)
        try:
            for number in itertools.count():
                if self._stopping.is_set():
                    return
                with suppress(DatastoreError):  # it is away, or slow: that is a test's doing
                    await self._change(store, number)
                    self.changes += 1
                await asyncio.sleep(0.002)
        finally:
            await store.close()

    async def _change(self, store: Datastore, number: int) -> None:
        what = self._chance.choice((self._wall, self._wall, self._policy, self._members))
        await what(store, number)

    async def _wall(self, store: Datastore, number: int) -> None:
        """The rule that denies gets other nets beside the one that is under test."""
        await _put(store, wall(self._walled, *self._nets(number)))

    async def _policy(self, store: Datastore, number: int) -> None:
        name = f"noise-{number % 7}"
        if self._chance.random() < 0.3:
            await _delete(store, Key("GlobalNetworkPolicy", "", name))
            return
        action = self._chance.choice(("Allow", "Deny", "Pass", "Log"))
        peer = EntityRule(selector="set == 'noise'", ports=(1000 + number % 900,))
        rules = [
            Rule(action=action, protocol="TCP", source=peer, destination=_to(7000 + n))
            for n in range(self._chance.randint(1, 9))
        ]
        await _put(store, policy(name, self._chance.choice((1.0, 50.0, 200.0)), *rules))

    async def _members(self, store: Datastore, number: int) -> None:
        metadata = ObjectMeta(name=f"noise-{number % 3}", labels={"set": "noise"})
        spec = NetworkSetSpec(nets=tuple(self._nets(number)))
        await _put(store, GlobalNetworkSet(metadata=metadata, spec=spec))

    def _nets(self, number: int) -> list[str]:
        lengths = self._chance.choice(((24,), (32,), (16, 24, 32)))
        return sorted(
            {
                f"100.{64 + n}.{number % 250}.0/{self._chance.choice(lengths)}"
                if n % 2
                else f"192.0.2.{n}/32"
                for n in range(self._chance.randint(1, 30))
            }
        )


async def _put(store: Datastore, resource: Resource) -> None:
    """As it is, whatever was there: at no moment is there nothing."""
    try:
        current = await store.get(resource.key)
    except NotFound:
        await store.create(resource)
    else:
        await store.update(replace(current, spec=resource.spec))


async def _delete(store: Datastore, key: Key) -> None:
    with suppress(NotFound):
        await store.delete(key)


class Siege:
    """A node, its flows and its churn. `ends_well` is what has to hold whatever was done to it."""

    def __init__(self, node: RealNode, firewall: Firewall, seed: int) -> None:
        self.node, self.firewall = node, firewall
        node.start_ready()
        node.put(opening(), wall("192.0.2.0/24"))
        client, stranger = node.attach("client", app="client"), node.attach("stranger")
        server = node.attach("server", app="server")
        self.client, self.server = client, server
        until(lambda: reaches(client, server, ALLOWED), "the allowed packets")
        walled = stranger[1].partition("/")[0] + "/32"
        self._first_wall(walled)
        self.churn = Churn(node, walled, seed)
        self._flows = {
            "allowed": Flow(client, server, ALLOWED),
            "behind the wall": Flow(stranger, server, WALLED, pause=0.0003),
            "allowed by nobody": Flow(client, server, NEVER_ALLOWED, pause=0.002),
            "of a stranger": Flow(stranger, server, STRANGERS, pause=0.002),
        }

    def _first_wall(self, walled: str) -> None:
        self.node.store(lambda store: _put(store, wall(walled)))
        self.node.applied_all()

    @property
    def sent(self) -> int:
        """How many packets of the allowed flow were sent so far."""
        return self._flows["allowed"].sent

    @property
    def sent_in_all(self) -> int:
        """How many of all flows."""
        return sum(flow.sent for flow in self._flows.values())

    def wait_for_packets(self, number: int) -> None:
        """Until so many more packets of the allowed flow were sent."""
        packets = self.sent + number
        until(lambda: self.sent >= packets, "packets")

    def close(self) -> None:
        """Stop everything; the node is its maker's to close."""
        self.churn.stop()
        for flow in self._flows.values():
            flow.stop()

    def ends_well(self) -> None:
        """End the traffic: nothing was lost, nothing got through, the state is a fresh agent's."""
        until(self.node.is_ready, "readiness")
        self.churn.stop()
        self.node.applied_all()
        for flow in self._flows.values():
            flow.stop()
        told = {name: _told(name, flow) for name, flow in self._flows.items()}
        assert not any(told.values()), told
        assert self.node.ask("status")["failures"] == []
        self._is_as_fresh()

    def _is_as_fresh(self) -> None:
        found = state(self.node, self.firewall)
        self.node.kill()
        erase(self.node)
        self.node.start_ready()
        until(lambda: state(self.node, self.firewall) == found, "the state that was there before")


def node_of(folder: Path, firewall: Firewall, make: type[RealNode] = RealNode) -> RealNode:
    """A node without an agent as yet."""
    return make(folder, environ={**PAGES, **firewall.environment})


@contextmanager
def siege(node: RealNode, firewall: Firewall, seed: int) -> Iterator[Siege]:
    """A siege of a node, whose agent it starts; both end with it."""
    try:
        made = Siege(node, firewall, seed)
        try:
            yield made
        finally:
            made.close()
    except BaseException as problem:
        problem.add_note(last_words(node))
        raise
    finally:
        node.close()


def last_words(node: RealNode) -> str:
    """What the agent says of itself, for whoever reads of a failure."""
    said = "nothing"
    with suppress(OSError, ValueError):
        said = str(node.ask("status"))
    with suppress(OSError):
        said += "".join(["\nits log:\n", *node.log.read_text().splitlines(keepends=True)[-25:]])
    return f"the agent says: {said}"


def _told(name: str, flow: Flow) -> str:
    """What is wrong with a flow; "" where nothing is."""
    if name == "allowed":
        wrong, lost = flow.refused, sorted(flow.lost)
        return f"{len(lost)} of {flow.sent} lost: {lost[:9]}; {wrong} refused" if lost else ""
    through = sorted(flow.arrived)
    return f"{len(through)} of {flow.sent} passed: {through[:9]}" if through else ""


def inside(node: RealNode, *command: str) -> str:
    """What a command in the node's namespace prints."""
    return subprocess.run(
        ["nsenter", f"--net={node.netns}", *command], capture_output=True, text=True, check=True
    ).stdout


def state(node: RealNode, firewall: Firewall) -> tuple[object, ...]:
    """Rules, sets and routes, without counters and without the order in which they were made."""
    routes = sorted((inside(node, "ip", "route") + inside(node, "ip", "-6", "route")).splitlines())
    if firewall is Firewall.NFTABLES:
        return _nftables(json.loads(inside(node, "nft", "-j", "list", "ruleset"))), routes
    listed = [inside(node, *one) for one in firewall.listing]
    lines = [one for text in listed for one in text.splitlines() if not one.startswith("#")]
    plain = (re.sub(r"\[\d+:\d+\]|initval \S+|hashsize \d+", "", one).strip() for one in lines)
    return sorted(plain), routes


def _nftables(listing: dict[str, list[dict[str, dict[str, object]]]]) -> dict[str, list[str]]:
    """The objects as text, the rules by chain in their order.

    Whether a set is a hash or one of intervals depends on what it once held; both are right.
    """
    found: dict[str, list[str]] = {"objects": []}
    for entry in listing["nftables"]:
        ((kind, value),) = entry.items()
        if kind == "rule":
            chain = f"{value['family']} {value['chain']}"
            found.setdefault(chain, []).append(_text({"expr": _plain(value["expr"])}))
        elif kind != "metainfo":
            drop = ("handle", "flags", "elem", "auto-merge")
            kept = {name: one for name, one in value.items() if name not in drop}
            members = sorted(map(_text, value.get("elem", ())))
            found["objects"].append(_text({kind: kept, "members": members}))
    found["objects"].sort()
    return found


def _plain(expression: object) -> object:
    if isinstance(expression, list):
        return [_plain(one) for one in expression]
    if not isinstance(expression, dict):
        return expression
    return {name: None if name == "counter" else _plain(one) for name, one in expression.items()}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def erase(node: RealNode) -> None:
    """All rules, sets and routes of ours go; links and what the node itself has stay."""
    tables = ("filter", "raw", "nat", "mangle")
    inside(node, "nft", "flush", "ruleset")
    for program in ("iptables-legacy", "ip6tables-legacy"):
        for table, how in product(tables, ("-F", "-X")):
            inside(node, program, "-w", "-t", table, how)
    inside(node, "ipset", "destroy")
    for family in ("-4", "-6"):
        inside(node, "ip", family, "route", "flush", "proto", "80")
