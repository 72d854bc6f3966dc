"""From the limits of an interface and what is there: the steps still to make. Pure.

Ours are known by a handle (the bucket), a priority (the filter) and a name (the `ifb` device). What
others put there stays, unless a limit of ours needs its place: an interface has one root queue, and
a packet that somebody else redirects is never seen by a later filter.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tortie.dataplane.qos.desired import IFB_PREFIX, Limit, Shape, bucket_of
from tortie.linux.netlink.rtnetlink import Link
from tortie.linux.netlink.rttc import ROOT, Bucket, Filter, Qdisc, found_as

HANDLE = 0x0CA1_0000  # "ca1:"; the kernel gives handles from 8000: on
PRIORITY = 0x0CA1
_RIVALS = ("bwp", IFB_PREFIX)  # the reference bandwidth plugin's devices, and an earlier name's


class Seen(NamedTuple):
    """What is there: the interface, its queues, the hooks' filters, and its `ifb` device.

    `incoming` and `outgoing` are empty without hooks. `links` has the names of the links that
    filters redirect to, by index.
    """

    link: Link | None = None
    queues: tuple[Qdisc, ...] = ()
    hooks: str = ""
    incoming: tuple[Filter, ...] = ()
    outgoing: tuple[Filter, ...] = ()
    links: tuple[tuple[int, str], ...] = ()
    ifb: Link | None = None
    ifb_queues: tuple[Qdisc, ...] = ()


class PutBucket(NamedTuple):
    """Have this bucket at the root of a link."""

    link: int
    bucket: Bucket


class DropBucket(NamedTuple):
    """Remove our bucket from the root of a link."""

    link: int


class MakeIfb(NamedTuple):
    """Make the `ifb` device, up."""


class DropIfb(NamedTuple):
    """Remove an `ifb` device."""

    name: str


class AddHooks(NamedTuple):
    """Let a link have filters."""

    link: int


class DropHooks(NamedTuple):
    """Take a link's hooks away: no filter is left."""

    link: int


class Redirect(NamedTuple):
    """Send what comes in by a link through another."""

    link: int
    to: int


class DropFilter(NamedTuple):
    """Remove the filters of a priority from what comes in."""

    link: int
    priority: int


Step = PutBucket | DropBucket | MakeIfb | DropIfb | AddHooks | DropHooks | Redirect | DropFilter


def steps(shape: Shape, ifb_name: str, seen: Seen) -> list[Step]:
    """What to do; not the whole of it while something must be made first and looked at."""
    if seen.link is None:
        return [DropIfb(ifb_name)] if seen.ifb else []
    return [
        *_queue(shape.ingress, seen.link, seen.queues),
        *(_sending(shape.egress, seen) if shape.egress else _not_sending(ifb_name, seen)),
    ]


def _queue(limit: Limit | None, link: Link, queues: tuple[Qdisc, ...]) -> Iterator[Step]:
    root = next((one for one in queues if one.parent == ROOT), None)
    is_ours = root is not None and root.handle == HANDLE
    if limit is None:
        if is_ours:
            yield DropBucket(link.index)
        return
    bucket = bucket_of(limit, link.mtu)
    if root is None or not is_ours or root.bucket != found_as(bucket):
        yield PutBucket(link.index, bucket)


def _sending(limit: Limit, seen: Seen) -> Iterator[Step]:
    assert seen.link is not None
    if seen.ifb is None or not seen.ifb.up:
        yield MakeIfb()
        return
    # The packets have the interface's size, whatever the device's own is.
    sized = Link(seen.ifb.index, seen.ifb.name, mtu=seen.link.mtu)
    yield from _queue(limit, sized, seen.ifb_queues)
    if not seen.hooks:
        yield AddHooks(seen.link.index)
    yield from _rivals(seen)
    ours = [one for one in seen.incoming if one.priority == PRIORITY]
    if not any(one.redirect == seen.ifb.index for one in ours):
        if ours:
            yield DropFilter(seen.link.index, PRIORITY)
        yield Redirect(seen.link.index, seen.ifb.index)


def _rivals(seen: Seen) -> Iterator[Step]:
    """The same packets would wait for others' tokens, and never for ours."""
    assert seen.link is not None
    assert seen.ifb is not None
    names = dict(seen.links)
    for one in seen.incoming:
        name = names.get(one.redirect, "")
        if one.priority != PRIORITY and name.startswith(_RIVALS) and name != seen.ifb.name:
            yield DropFilter(seen.link.index, one.priority)
            yield DropIfb(name)


def _not_sending(ifb_name: str, seen: Seen) -> Iterator[Step]:
    """The filter goes before the device: what is sent to a device that is gone is dropped."""
    assert seen.link is not None
    if any(one.priority == PRIORITY for one in seen.incoming):
        yield DropFilter(seen.link.index, PRIORITY)
        others = [one for one in seen.incoming if one.priority != PRIORITY]
        if seen.hooks == "clsact" and not others and not seen.outgoing:
            yield DropHooks(seen.link.index)
    if seen.ifb is not None:
        yield DropIfb(ifb_name)
