"""Clusters for BGP: plausible ones, so that sessions come of them, with hostile words in between.

Everything has its right type, as what a datastore holds after decoding; nothing was validated, as
another program may have written it. One drawn number makes a whole cluster: drawn field by field,
hardly any would hold a session that comes to be.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from tortie.api import KINDS, Resource
from tortie.bgp.passwords import SecretRef
from tortie.bgp.words import Password

HOSTILE = (
    '"; protocol bgp evil { }',
    "a\nprotocol static { }",
    "x { accept; } #",
    "*/ include '/etc/passwd'; /*",
    "%s%n",
    "a\x00b",
    "é…\u202e",
    "'",
    "\\",
    "\r",
    "",
)
NODES = ("alpha", "beta", "gamma", "delta")
FILTERS = ("one", "two", "a.b-c", "x" * 253, '"; x', "\nprotocol")
_ODD = {
    4: ("0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255"),
    6: ("::", "::1", "fe80::1", "ff02::1", "::ffff:172.16.0.9"),
}
_RARE = 0.04
_MOST_AS = 2**32 - 1
_PRIORITIES = (1, 512, 1024, 2**31 - 2)


class _Dice:
    """Values of the fields, mostly good ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def text(self, good: Callable[[], str]) -> str:
        return str(self.random.choice(HOSTILE)) if self.maybe(_RARE) else good()

    def some(self, make: Callable[[], Any], most: int) -> list[Any]:
        return [make() for _ in range(self.random.randint(0, most))]

    def fields(self, **makers: Callable[[], Any]) -> dict[str, Any]:
        """Some of the fields."""
        return {name: make() for name, make in makers.items() if self.maybe(0.4)}

    def number(self) -> Any:
        return self.one(0, 1, 23456, 64512, 65000, _MOST_AS)

    def address4(self) -> str:
        if self.maybe(_RARE):
            return str(self.one(*_ODD[4]))
        return self.text(lambda: f"172.16.0.{self.random.randint(0, 255)}")

    def address6(self) -> str:
        if self.maybe(_RARE):
            return str(self.one(*_ODD[6]))
        return self.text(lambda: f"fd16::{self.random.randint(0, 0xFFFF):x}")

    def address(self) -> str:
        return self.address4() if self.maybe(0.6) else self.address6()

    def cidr(self, version: int) -> str:
        a, b = self.random.randint(0, 255), self.random.randint(0, 255)
        if version == 4:
            return self.text(lambda: f"10.{a}.{b}.0/{self.random.randint(0, 32)}")
        return self.text(lambda: f"fd{a:02x}:{b}::/{self.random.randint(0, 128)}")

    def any_cidr(self) -> str:
        return self.cidr(self.one(4, 6))

    def duration(self) -> str:
        return self.text(lambda: str(self.one("", "1s", "90s", "1h", "1500ms", "100h", "-1s")))

    def selector(self) -> str:
        return self.text(lambda: str(self.one("all()", "has(role)", "role == 'rr'", "!has(role)")))

    def community(self) -> str:
        return str(self.one("1:2", "65535:65535", "1:2:3", "4294967295:0:1"))

    def secret(self) -> Any:
        name = "good" if self.maybe(0.8) else self.one("bad", "none", *HOSTILE)
        return {"secretKeyRef": {"name": name, "key": "k"}}

    def metadata(self, name: str) -> dict[str, Any]:
        notes = {"tortie.io/bfd": self.text(lambda: str(self.one("Enabled", "300ms", "9h")))}
        return {
            "name": name,
            "labels": self.one({}, {"role": "rr"}),
            "annotations": notes if self.maybe(0.3) else {},
        }


def _node(dice: _Dice) -> Any:
    bgp = {"ipv4Address": dice.address4() + "/24"} if dice.maybe(0.9) else {}
    bgp |= dice.fields(
        ipv6Address=lambda: dice.address6() + "/64",
        asNumber=lambda: dice.one(64512, 64600, "64512", "1.10", "x", _MOST_AS),
        routeReflectorClusterID=dice.address4,
    )
    return {"metadata": dice.metadata(dice.one(*NODES)), "spec": {"bgp": bgp}}


def _peer(dice: _Dice) -> Any:
    who = dice.one({}, {"node": dice.one("alpha", *NODES)}, {"nodeSelector": dice.selector()})
    port = dice.one("", "", ":1179")
    whom = dice.one(
        {"peerIP": dice.address4() + port, "reachableBy": dice.one("", dice.address4())},
        {"peerIP": f"[{dice.address6()}]{port}" if port else dice.address6()},
        {"peerSelector": dice.selector(), **dice.fields(reversePeering=lambda: "Manual")},
        {"localWorkloadSelector": dice.selector()},
    )
    number = {} if "peerSelector" in whom else {"asNumber": dice.number()}
    how = dice.fields(
        localASNumber=dice.number,
        keepOriginalNextHop=lambda: dice.one(True, False),
        nextHopMode=lambda: dice.one("", "Auto", "Self", "Keep"),
        password=dice.secret,
        sourceAddress=lambda: dice.one("", "UseNodeIP", "None"),
        maxRestartTime=dice.duration,
        keepaliveTime=dice.duration,
        numAllowedLocalASNumbers=lambda: dice.one(0, 1, 2, 255, 300),
        ttlSecurity=lambda: dice.one(0, 1, 2, 255, 300),
        filters=lambda: dice.some(lambda: dice.one(*FILTERS), 3),
    )
    name = dice.text(lambda: f"peer-{dice.random.randint(0, 9)}")
    return {"metadata": dice.metadata(name), "spec": {**who, **whom, **number, **how}}


def _rule(dice: _Dice, version: int) -> Any:
    longest = 32 if version == 4 else 128
    rule = dice.fields(
        source=lambda: "RemotePeers",
        interface=lambda: dice.text(lambda: str(dice.one("eth0", "cali*", "*"))),
        peerType=lambda: dice.one("eBGP", "iBGP"),
        communities=lambda: {"values": [dice.community()]},
        asPathPrefix=lambda: dice.some(dice.number, 3),
        priority=lambda: dice.one(*_PRIORITIES),
    )
    if dice.maybe():
        operators = ("Equal", "NotEqual", "In", "NotIn")
        rule |= {"cidr": dice.cidr(version), "matchOperator": dice.one(*operators)}
        lengths = dice.fields(
            min=lambda: dice.random.randint(0, longest), max=lambda: dice.random.randint(0, longest)
        )
        rule |= {"prefixLength": lengths} if dice.maybe() else {}
    if dice.maybe(0.3):
        return {"action": "Reject", **rule}
    operations = dice.some(lambda: _operation(dice), 3)
    return {"action": "Accept", **rule, **({"operations": operations} if operations else {})}


def _operation(dice: _Dice) -> Any:
    return dice.one(
        {"addCommunity": {"value": dice.community()}},
        {"prependASPath": {"prefix": [dice.number(), dice.number()]}},
        {"setPriority": {"value": dice.one(*_PRIORITIES)}},
    )


def _filter(dice: _Dice) -> Any:
    def rules(version: int) -> list[Any]:
        return dice.some(lambda: _rule(dice, version), 3)

    sides = ("exportV4", "importV4", "exportV6", "importV6")
    spec = {side: rules(int(side[-1])) for side in sides}
    return {"metadata": dice.metadata(dice.one(*FILTERS)), "spec": spec}


def _configuration(dice: _Dice) -> Any:
    def blocks() -> list[Any]:
        return dice.some(lambda: {"cidr": dice.any_cidr()}, 3)

    def advertised() -> Any:
        values = dice.some(lambda: dice.text(lambda: dice.one("named", dice.community())), 3)
        return {"cidr": dice.any_cidr(), "communities": values}

    spec = dice.fields(
        logSeverityScreen=lambda: dice.one("", "Trace", "debug", "Info", "Fatal"),
        nodeToNodeMeshEnabled=lambda: dice.maybe(0.9),
        asNumber=dice.number,
        serviceClusterIPs=blocks,
        serviceExternalIPs=blocks,
        serviceLoadBalancerIPs=blocks,
        serviceLoadBalancerAggregation=lambda: dice.one("Enabled", "Disabled"),
        communities=lambda: [{"name": "named", "value": "5:6"}],
        prefixAdvertisements=lambda: dice.some(advertised, 3),
        listenPort=lambda: dice.one(1, 179, 65535),
        nodeMeshPassword=dice.secret,
        nodeMeshMaxRestartTime=dice.duration,
        bindMode=lambda: dice.one("", "None", "NodeIP"),
        ignoredInterfaces=lambda: dice.some(lambda: dice.one("eth*", "docker0", *HOSTILE), 3),
        ipv4NormalRoutePriority=lambda: dice.one(*_PRIORITIES),
        programClusterRoutes=lambda: dice.one("", "Enabled", "Disabled", "EnabledIPIPOnly"),
    )
    return {"metadata": dice.metadata(dice.one("default", "default", "node.alpha")), "spec": spec}


def _pool(dice: _Dice) -> Any:
    more = dice.fields(
        vxlanMode=lambda: dice.one("", "Always"),
        ipipMode=lambda: dice.one("Never", "CrossSubnet"),
        disableBGPExport=lambda: dice.maybe(),
    )
    name = dice.text(lambda: f"pool-{dice.random.randint(0, 9)}")
    return {"metadata": dice.metadata(name), "spec": {"cidr": dice.any_cidr(), **more}}


def _affinity(dice: _Dice) -> Any:
    spec = {
        "node": dice.one("alpha", "alpha", "beta"),
        "state": dice.one("", "confirmed", "pending"),
        "cidr": dice.any_cidr(),
        "deleted": dice.maybe(0.1),
    }
    name = f"block-{dice.random.randint(0, 99)}"
    return {"metadata": dice.metadata(name), "spec": spec}


def _service(dice: _Dice) -> Any:
    spec = dice.fields(
        clusterIP=dice.address,
        externalIPs=lambda: dice.some(dice.address, 3),
        externalTrafficPolicy=lambda: dice.one("", "Cluster", "Local"),
    )
    status = {"loadBalancer": {"ingress": [{"ip": dice.one(dice.address(), None, 7)}]}}
    name = f"service-{dice.random.randint(0, 9)}"
    return {"metadata": dice.metadata(name), "spec": spec, "status": status}


def _workload(dice: _Dice) -> Any:
    spec = {"node": dice.one("alpha", "beta"), "ipNetworks": [dice.address()]}
    name = dice.text(lambda: f"workload-{dice.random.randint(0, 9)}")
    return {"metadata": dice.metadata(name), "spec": spec}


_MAKERS = {
    "Node": (_node, 4),
    "BGPPeer": (_peer, 5),
    "BGPFilter": (_filter, 6),
    "BGPConfiguration": (_configuration, 2),
    "IPPool": (_pool, 3),
    "BlockAffinity": (_affinity, 5),
    "Service": (_service, 5),
    "WorkloadEndpoint": (_workload, 3),
}


def _me(dice: _Dice) -> Any:
    bgp = {"ipv4Address": "172.16.0.1/24", "ipv6Address": "fd16::1/64"}
    bgp |= {"routeReflectorClusterID": "1.0.0.1"} if dice.maybe(0.3) else {}
    return {"metadata": {"name": "alpha", "labels": {"role": "rr"}}, "spec": {"bgp": bgp}}


def cluster_of(seed: int) -> list[Resource]:
    """The cluster of a number; among its resources is the Node `alpha`, with addresses."""
    dice = _Dice(seed)
    found = [
        msgspec.convert(_me(dice), KINDS["Node"].type),
        msgspec.convert(_configuration(dice), KINDS["BGPConfiguration"].type),
    ]
    for kind, (make, most) in _MAKERS.items():
        for data in dice.some(lambda make=make: make(dice), most):  # type: ignore[misc]
            try:
                resource = msgspec.convert(data, KINDS[kind].type)
            except msgspec.ValidationError:
                continue  # no datastore gives out what breaks its type
            if (kind, resource.metadata.name) != ("Node", "alpha"):
                found.append(resource)
    return found


PASSWORDS = {
    SecretRef("good", "k"): Password(b"p;{}#%/* ok"),
    SecretRef("bad", "k"): "the password is empty",
}
