"""What does not add up between blocks, handles, claims, pools and those who use addresses. Pure.

An address is leaked when a block says that it is held, and nobody uses it. It is reported with who
held it, since when, and why it counts as a leak; what to do is said of every finding.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from tortie.api import AllocationAttribute, IPAMBlock, Key
from tortie.ipam.affinities import claimant
from tortie.ipam.block import EDGES_HANDLE, cooling, is_sound
from tortie.ipam.machines import is_machines, is_there
from tortie.ipam.names import node_of
from tortie.ipam.pools import range_of
from tortie.ipam.records import USING_KINDS, Records, User
from tortie.ipam.types import ReleaseRequest
from tortie.ipam.words import whose
from tortie.net import Prefix, format_address, parse_network

What = Literal[
    "leaked",
    "unallocated",
    "doubled",
    "no pool",
    "handle",
    "untold",
    "claim",
    "block",
    "damaged",
    "unread",
]


RELEASE_REPORTED = "tortie ipam check -o FILE; tortie ipam release --from-report FILE"
_WORKLOADS = ("Pod ", "WorkloadEndpoint ")  # an address of a Service may be another balancer's


class Allocation(Struct, frozen=True, kw_only=True):
    """One address that a block says is held. `leak`: why it counts as leaked; empty: it does not.

    `sequence` tells this allocation from a later one of the same address.
    """

    address: Prefix
    block: Prefix
    handle: str
    sequence: int | None
    attributes: dict[str, str]
    borrowed: bool
    users: tuple[User, ...]
    moving: bool = False
    """Whether a virtual machine moves just now from one pod to another, with this address."""
    leak: str = ""

    @property
    def release(self) -> ReleaseRequest:
        """What gives back this very allocation, and no later one of the address."""
        handle = self.handle or None
        return ReleaseRequest(address=self.address, handle=handle, sequence=self.sequence)


class Finding(Struct, frozen=True):
    """One thing that does not add up."""

    what: What
    subject: str
    why: str
    cure: str


class Audit(Struct, frozen=True):
    """All allocations in the order of addresses, how many cool down, and what is wrong."""

    allocations: tuple[Allocation, ...]
    cooling: int
    findings: tuple[Finding, ...]

    @property
    def leaked(self) -> tuple[Allocation, ...]:
        """The addresses to be released."""
        return tuple(one for one in self.allocations if one.leak)

    @property
    def leaked_handles(self) -> tuple[str, ...]:
        """Handles under which no block holds anything."""
        return tuple(one.subject for one in self.findings if one.what == "handle")


def audit(records: Records) -> Audit:
    """Hold everything against everything."""
    sound = [block for block in records.blocks if is_sound(block.spec)]
    nets = _nets(records)
    found = [one for block in sound for one in _allocations(block, records)]
    found.sort(key=lambda one: one.address)
    findings = (
        *_leaks(found),
        *_users(found, records, nets),
        *_pools(sound, nets),
        *_handles(found, records),
        *_claims(sound, records),
        *_blocks(records),
        *_unread(records),
    )
    return Audit(tuple(found), sum(len(cooling(block.spec)) for block in sound), findings)


def _allocations(block: IPAMBlock, records: Records) -> Iterator[Allocation]:
    spec, cidr = block.spec, parse_network(block.spec.cidr)
    owner, resting = node_of(spec.affinity), cooling(spec)
    for ordinal, index in enumerate(spec.allocations):
        if index is None or ordinal in resting:
            continue
        if spec.attributes[index].handle_id == EDGES_HANDLE:
            continue  # nobody's for good, and of no handle
        address = Prefix.single(cidr.version, cidr.address + ordinal)
        holder = spec.attributes[index]
        node = holder.secondary.get("node", "")
        users = tuple(records.users.get(address, ()))
        yield Allocation(
            address=address,
            block=cidr,
            handle=holder.handle_id or "",
            sequence=spec.sequence_number_for_allocation.get(str(ordinal)),
            attributes=dict(holder.secondary),
            borrowed=bool(node) and node != owner,
            moving=bool(holder.alternate_owner_attrs),
            users=users,
            leak="" if users else _leak(holder, records),
        )


def _leak(holder: AllocationAttribute, records: Records) -> str:
    """Who held it, since when, and why nobody uses it any more."""
    about, handle = holder.secondary, holder.handle_id or ""
    if any(_may_use(bad.key, about) for bad in records.unread):
        return ""
    if is_machines(handle):
        return _leak_of_machine(handle, about, records)
    if about.get("service") and not records.services:
        return ""  # Services are elsewhere: nobody can know
    held = f"held by {whose(about) or 'somebody'}{_since(about)}"
    return f"{held}; {_reason(about, records)}"


def _may_use(unread: Key, about: Mapping[str, str]) -> bool:
    """Whether an object that can't be read may be who uses the address of `about`.

    What the attributes don't say may be so: an address in use must never count as leaked.
    """
    if unread.kind not in _kinds_of(about):
        return False
    there = not unread.namespace or about.get("namespace", unread.namespace) == unread.namespace
    named = about.get(unread.kind.lower(), unread.name)  # of an endpoint there is no such attribute
    return there and named == unread.name


def _kinds_of(about: Mapping[str, str]) -> Collection[str]:
    """Of what kind the user of an address is."""
    if about.get("service"):
        return ("Service",)
    if about.get("type"):
        return ("Node",)
    return ("Pod", "WorkloadEndpoint") if about.get("pod") else USING_KINDS


def _reason(about: Mapping[str, str], records: Records) -> str:
    if (node := about.get("node", "")) and node not in records.nodes:
        return "the node is gone"
    if about.get("pod"):
        return "no such pod has this address"
    if about.get("service"):
        return "no such Service has this address"
    if about.get("type"):
        return "the node does not have this tunnel address"
    return "no workload and no node has this address"


def _since(about: Mapping[str, str]) -> str:
    return f" since {about['timestamp']}" if about.get("timestamp") else ""


def _leak_of_machine(handle: str, about: Mapping[str, str], records: Records) -> str:
    """A machine that is stopped has no pod, and keeps its address."""
    if records.machines is None or is_there(handle, records.machines):
        return ""
    return f"held for a virtual machine by {handle}{_since(about)}; there is no such machine"


def _leaks(found: list[Allocation]) -> Iterator[Finding]:
    for one in found:
        if one.leak:
            address = _text(one.address)
            yield Finding("leaked", address, one.leak, f"tortie ipam release --ip {address}")


def _users(found: list[Allocation], records: Records, nets: Sequence[Prefix]) -> Iterator[Finding]:
    """Addresses in use that nobody has noted, that two use, or that no pool has.

    Without any pool another program gives out addresses, and none of them is ours.
    """
    held = {one.address for one in found}
    moving = {one.address for one in found if one.moving}
    for address, users in sorted(records.users.items()):
        names = " and ".join(sorted({user.name for user in users}))
        if len({user.name for user in users}) > 1 and address not in moving:
            cure = "delete and make anew all of them but one"
            yield Finding("doubled", _text(address), f"used by {names}", cure)
        if address in held:
            continue
        inside = any(net.contains(address) for net in nets)
        if nets and not inside and any(user.name.startswith(_WORKLOADS) for user in users):
            cure = "add a pool with it: else it counts as outside of the cluster"
            yield Finding("no pool", _text(address), f"used by {names}, and of no IPPool", cure)
        if inside:
            cure = "make it anew: the address may be given to another at any time"
            yield Finding("unallocated", _text(address), f"used by {names}, held by nobody", cure)


def _pools(blocks: list[IPAMBlock], nets: Sequence[Prefix]) -> Iterator[Finding]:
    for block in blocks:
        if not any(net.contains(parse_network(block.spec.cidr)) for net in nets):
            why = "its addresses are of no IPPool"
            yield Finding("no pool", block.spec.cidr, why, "add the pool again, or move its pods")


def _handles(found: list[Allocation], records: Records) -> Iterator[Finding]:
    held = Counter((one.handle, str(one.block)) for one in found)
    handles = {name for name, _ in held}
    unread = any(bad.key.kind == "IPAMBlock" for bad in records.unread)  # and may be of any handle
    for handle in sorted(records.handles, key=lambda one: one.spec.handle_id):
        name = handle.spec.handle_id
        if name not in handles and not unread:
            yield Finding("handle", name, "it holds no address", RELEASE_REPORTED)
    told = {
        (handle.spec.handle_id, cidr): count
        for handle in records.handles
        for cidr, count in handle.spec.block.items()
    }
    for (name, cidr), count in sorted(held.items()):
        if told.get((name, cidr), 0) < count:
            why = f"it does not tell of {count} addresses of {cidr}: they would never be released"
            yield Finding("untold", name or "(none)", why, "release these addresses by themselves")


def _claims(blocks: list[IPAMBlock], records: Records) -> Iterator[Finding]:
    owners = {block.spec.cidr: node_of(block.spec.affinity) for block in blocks}
    for claim in sorted(records.claims, key=lambda one: one.metadata.name):
        spec, name = claim.spec, claim.metadata.name
        if claimant(claim).type != "host" or spec.deleted:
            continue
        if spec.node not in records.nodes:
            yield Finding("claim", name, f"node {spec.node} is gone", "the controllers give it up")
        elif spec.state == "confirmed" and owners.get(spec.cidr) != spec.node:
            why = f"block {spec.cidr} belongs to {owners.get(spec.cidr) or 'nobody'}"
            yield Finding("claim", name, why, f"node {spec.node} drops it when it next looks")


def _blocks(records: Records) -> Iterator[Finding]:
    claimed = {(claim.spec.node, claim.spec.cidr) for claim in records.claims}
    for block in sorted(records.blocks, key=lambda one: one.metadata.name):
        spec, name = block.spec, block.metadata.name
        if not is_sound(spec):
            why = "its allocations, attributes and unallocated addresses don't agree"
            yield Finding("damaged", name, why, "repair it; nothing is taken from it")
        elif (node := node_of(spec.affinity)) and (node, spec.cidr) not in claimed:
            why = f"node {node} has no claim to it"
            yield Finding("block", name, why, "the node claims it when it next needs one")


def _unread(records: Records) -> Iterator[Finding]:
    for bad in sorted(records.unread, key=lambda bad: bad.key):
        why = f"it can't be read ({bad.reason}): what may be its own does not count as leaked"
        yield Finding("unread", str(bad.key), why, "repair or delete it")


def _nets(records: Records) -> list[Prefix]:
    found: list[Prefix] = []
    for pool in records.pools:
        with suppress(ValueError):  # what is no CIDR holds no address
            found.append(range_of(pool).cidr)
    return found


def _text(address: Prefix) -> str:
    return format_address(address.version, address.address)
