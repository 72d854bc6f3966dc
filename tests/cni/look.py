"""What the kernel and the datastore hold of containers, for tests."""

import json
import re
from contextlib import suppress

from cni.node import BOUND, until
from tortie.api import Key, ObjectMeta, Pod, PodSpec, Profile, ProfileSpec, Rule
from tortie.datastore import NotFound
from tortie.ipam import IPAM
from tortie.ipam.audit import audit
from tortie.ipam.records import read_records
from tortie.kubernetes import conversion, names
from tortie.kubernetes.pods import attached_further
from tortie.linux.flows import Flows
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.linux.rules import Rules
from tortie.net import Prefix, parse_network

NETWORK = "k8s-pod-network"


def failed(done):
    """The error that a call printed."""
    assert done.returncode == 1, done.stdout
    assert done.stderr == b""
    return json.loads(done.stdout)


def result(done):
    """The result that a call printed."""
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def put_pod(node, name, annotations=None, status=None, **labels):
    """Store a Pod of the node; annotations without their prefix."""
    asked = {f"cni.projectcalico.org/{key}": value for key, value in (annotations or {}).items()}
    metadata = ObjectMeta(name=name, namespace="default", labels=labels, annotations=asked)
    return node.put(Pod(metadata=metadata, spec=PodSpec(node_name=node.name), status=status))


def open_profile(node, name):
    """A profile that lets everything pass."""
    spec = ProfileSpec(ingress=(Rule(action="Allow"),), egress=(Rule(action="Allow"),))
    return node.put(Profile(metadata=ObjectMeta(name=name), spec=spec))


def held(node, handle):
    """The addresses that IPAM keeps under a handle."""

    async def look(store):
        return tuple(map(str, await IPAM(store).addresses_of(handle)))

    return node.store(look)


def endpoint(node, name, namespace="default"):
    """An endpoint that is stored, or that a Pod stands for; or None."""
    wanted = Key("WorkloadEndpoint", namespace, name)

    async def look(store):
        with suppress(NotFound):
            return await store.get(wanted)
        pods = (await store.list("Pod", namespace)).resources
        found = (value for pod in pods for value in conversion(pod).values)
        return next((value for value in found if value.key == wanted), None)

    return node.store(look)


def inside(netns):
    """What a container has: (interfaces, main routes as text, sources of rules)."""
    with in_namespace(netns), NetlinkSocket() as sock:
        links = {link.index: link for link in Links(sock).list()}
        routes = {
            f"{route.destination} dev {links[route.oif].name}"
            for family in (4, 6)
            for route in Routes(sock).list(family, table=254)
            if route.gateway is not None and route.oif
        }
        rules = {str(one.source) for one in Rules(sock).list(4) if one.source is not None}
    return {link.name: link for link in links.values()}, routes, rules


def addresses(netns, name="eth0"):
    """The addresses of a container's interface, without link-local ones."""
    with in_namespace(netns), NetlinkSocket() as sock:
        found = [str(one.prefix) for one in Links(sock).addresses(name)]
    return {one for one in found if not one.startswith("fe80")}


async def _findings(store):
    return [str(one) for one in audit(await read_records(store)).findings]


def findings(node):
    """What `tortie ipam check` finds wrong."""
    return node.store(_findings)


def spoke(node, net):
    """The addresses of a network that have part in connections that a node's kernel tracks."""
    within = parse_network(net)
    with in_namespace(node.netns):
        tracked = Flows()
        try:
            found = list(tracked.all())
        finally:
            tracked.close()
    sides = [(flow.version, side) for flow in found for side in (flow.original, flow.reply)]
    ends = {Prefix.single(v, one) for v, side in sides for one in (side.source, side.destination)}
    return {str(one) for one in ends if within.contains(one)}


async def _recorded(store):
    blocks = (await store.list("IPAMBlock")).resources
    taken = sum(one is not None for block in blocks for one in block.spec.allocations)
    handles = [one.metadata.name for one in (await store.list("IPAMHandle")).resources]
    stored = () if "WorkloadEndpoint" in getattr(store, "derived", ()) else ("WorkloadEndpoint",)
    endpoints = [one.metadata.name for kind in stored for one in (await store.list(kind)).resources]
    pods = (await store.list("Pod")).resources
    attached = [
        p.metadata.name
        for p in pods
        if p.metadata.annotations.get(names.CONTAINER_ID) or attached_further(p)
    ]
    return {"taken": taken, "handles": handles, "endpoints": endpoints, "attached": attached}


def left_over(node):
    """Everything of containers that a node has: links, routes, neighbours, rules, records."""
    with in_namespace(node.netns), NetlinkSocket() as sock:
        links = {link.name: link.index for link in Links(sock).list() if link.name != "lo"}
        routes = [
            str(one)
            for family in (4, 6)
            for one in Routes(sock).list(family)
            if one.oif in links.values() and str(one.destination).startswith(("10.", "fd"))
        ]
    found = {name: value for name, value in node.store(_recorded).items() if value}
    if ours := sorted(one for one in links if one.startswith(("cali", "bw"))):
        found["links"] = ours
    if routes:
        found["routes"] = routes
    if rules := re.findall(r"cali[0-9a-f]{11}|cali-[tf]w-\S+", node.ruleset()):
        found["rules"] = sorted(set(rules))
    return found


def nothing_left(node):
    """Wait until the node has nothing of any container."""
    try:
        until(lambda: not left_over(node), "the end of what containers had", BOUND)
    except AssertionError:
        raise AssertionError(f"this is left of containers: {left_over(node)}") from None
