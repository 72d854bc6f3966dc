"""Traffic control as rtnetlink messages: token buckets, hooks for filters, redirections.

From linux/rtnetlink.h, pkt_sched.h, pkt_cls.h and tc_act/tc_mirred.h. Of queues only token buckets
(`tbf`) are told in full, of filters only those that send every packet to another interface.
"""

import socket
import struct
from typing import NamedTuple

from msgspec import Struct

from tortie.linux.netlink.rtfamily import fields
from tortie.linux.netlink.wire import (
    attribute,
    attribute_map,
    nested,
    read_string,
    read_u32,
    string,
    u32,
)

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
ROOT = 0xFFFFFFFF
CLSACT = 0xFFFFFFF1  # where the hooks of an interface are, whether "clsact" or "ingress"
INCOMING = 0xFFFFFFF2  # the hook for what comes in

_HEADER = struct.Struct("=BxxxiIII")
_RATE = struct.Struct("=BBHhHI")  # tc_ratespec: cell_log, linklayer, overhead, align, mpu, rate
_TBF = struct.Struct("=12s12sIII")  # rate, peak rate, limit, buffer, mtu
_SELECTOR = struct.Struct("=BBBxHHhhI")  # tc_u32_sel without its keys
_MIRRED = struct.Struct("=IIiiiiI")  # tc_gen (index … bindcnt), eaction, ifindex
_KIND, _OPTIONS = 1, 2
_TBF_PARMS, _TBF_RATE64, _TBF_PRATE64, _TBF_BURST, _TBF_PBURST = 1, 4, 5, 6, 7
_U32_SELECTOR, _U32_ACTIONS = 5, 7
_ACTION_KIND, _ACTION_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_TERMINAL, _STOLEN, _REDIRECT = 1, 4, 1
_ETHERNET = 1  # the link layer: no table of costs need be sent
_EVERY_PROTOCOL = socket.htons(3)
_U32_MOST = 0xFFFFFFFF
_TICK_SHIFT = 6  # a tick of the scheduler is 64 ns
_SECOND = 1_000_000_000


class Bucket(Struct, frozen=True):
    """A token bucket: bytes per second, bytes; `peak` 0 is none.

    `burst` passes at once after a pause, `queue` waits for tokens, more is dropped. `peak_burst`
    passes at once even while `peak` holds.
    """

    rate: int
    burst: int
    queue: int
    peak: int = 0
    peak_burst: int = 0


class FoundBucket(NamedTuple):
    """What the kernel tells of a token bucket: bursts as the ticks that they take."""

    rate: int
    burst_ticks: int
    queue: int
    peak: int = 0
    peak_ticks: int = 0


class Qdisc(NamedTuple):
    """A queueing discipline of an interface. `handle` and `parent` are 32 bits, major first."""

    link: int
    kind: str
    handle: int
    parent: int
    bucket: FoundBucket | None = None


class Filter(NamedTuple):
    """A filter at a hook. `redirect` is the interface to which it sends all that it takes, or 0."""

    link: int
    parent: int
    priority: int
    kind: str
    redirect: int = 0


def found_as(bucket: Bucket) -> FoundBucket:
    """How the kernel will tell of a bucket that it was given."""
    return FoundBucket(
        bucket.rate,
        _ticks(bucket.rate, bucket.burst),
        bucket.queue,
        bucket.peak,
        _ticks(bucket.peak, bucket.peak_burst) if bucket.peak else 0,
    )


def _ticks(rate: int, size: int) -> int:
    """How long so many bytes take, with the kernel's own rounding (psched_ratecfg_precompute)."""
    factor, shift = _SECOND, 0
    while not (factor // rate & 1 << 31 or factor & 1 << 63):
        factor, shift = factor << 1, shift + 1
    return (size * (factor // rate & _U32_MOST) >> shift) >> _TICK_SHIFT & _U32_MOST


def build_bucket(link: int, handle: int, bucket: Bucket) -> bytes:
    """The payload of RTM_NEWQDISC: a token bucket at the root of an interface."""
    parts = [
        attribute(
            _TBF_PARMS, _TBF.pack(_rate(bucket.rate), _rate(bucket.peak), bucket.queue, 0, 0)
        ),
        attribute(_TBF_BURST, u32(bucket.burst)),
        attribute(_TBF_RATE64, struct.pack("=Q", bucket.rate)),
    ]
    if bucket.peak:
        parts.append(attribute(_TBF_PBURST, u32(bucket.peak_burst)))
        parts.append(attribute(_TBF_PRATE64, struct.pack("=Q", bucket.peak)))
    return _qdisc(link, handle, ROOT, "tbf") + nested(_OPTIONS, *parts)


def build_hooks(link: int) -> bytes:
    """The payload of RTM_NEWQDISC or RTM_DELQDISC: the hooks for filters of an interface."""
    return _qdisc(link, 0xFFFF0000, CLSACT, "clsact")


def build_root(link: int, handle: int) -> bytes:
    """The payload of RTM_DELQDISC for what is at the root of an interface."""
    return _HEADER.pack(0, link, handle, ROOT, 0)


def build_qdisc_query(link: int = 0) -> bytes:
    """The payload of RTM_GETQDISC for a dump of one interface's, or of all."""
    return _HEADER.pack(0, link, 0, 0, 0)


def build_redirect(link: int, priority: int, to: int) -> bytes:
    """The payload of RTM_NEWTFILTER: all that comes in by `link` goes to interface `to`."""
    action = nested(
        1,
        attribute(_ACTION_KIND, string("mirred")),
        nested(
            _ACTION_OPTIONS,
            attribute(_MIRRED_PARMS, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, to)),
        ),
    )
    selector = _SELECTOR.pack(_TERMINAL, 0, 1, 0, 0, 0, 0, 0) + bytes(16)  # one key: 0 under mask 0
    return (
        build_filter(link, priority)
        + attribute(_KIND, string("u32"))
        + nested(_OPTIONS, attribute(_U32_SELECTOR, selector), nested(_U32_ACTIONS, action))
    )


def build_filter(link: int, priority: int) -> bytes:
    """The payload of RTM_DELTFILTER: every filter for what comes in with this priority."""
    return _HEADER.pack(0, link, 0, INCOMING, priority << 16 | _EVERY_PROTOCOL)


def build_filter_query(link: int, hook: int = INCOMING) -> bytes:
    """The payload of RTM_GETTFILTER for a dump of one hook."""
    return _HEADER.pack(0, link, 0, hook, 0)


def parse_qdisc(payload: bytes) -> Qdisc:
    """Read the payload of RTM_NEWQDISC or RTM_DELQDISC. Raises MalformedMessage."""
    _, link, handle, parent, _ = fields(_HEADER, payload, "a queueing discipline")
    found = attribute_map(payload, _HEADER.size)
    kind = read_string(found.get(_KIND, b""))
    bucket = _parse_bucket(found.get(_OPTIONS, b"")) if kind == "tbf" else None
    return Qdisc(link, kind, handle, parent, bucket)


def parse_filter(payload: bytes) -> Filter:
    """Read the payload of RTM_NEWTFILTER or RTM_DELTFILTER. Raises MalformedMessage."""
    _, link, _, parent, info = fields(_HEADER, payload, "a filter")
    found = attribute_map(payload, _HEADER.size)
    kind = read_string(found.get(_KIND, b""))
    redirect = _parse_redirect(found.get(_OPTIONS, b"")) if kind == "u32" else 0
    return Filter(link, parent, info >> 16, kind, redirect)


def build_found(qdisc: Qdisc) -> bytes:
    """The payload with which a kernel would tell of this; for tests of what reads it."""
    head = _qdisc(qdisc.link, qdisc.handle, qdisc.parent, qdisc.kind)
    if qdisc.bucket is None:
        return head
    rate, ticks, queue, peak, peak_ticks = qdisc.bucket
    parms = _TBF.pack(_rate(rate), _rate(peak), queue, ticks, peak_ticks)
    large = [
        attribute(kind, struct.pack("=Q", value))
        for kind, value in ((_TBF_RATE64, rate), (_TBF_PRATE64, peak))
        if value > _U32_MOST
    ]
    return head + nested(_OPTIONS, attribute(_TBF_PARMS, parms), *large)


def _qdisc(link: int, handle: int, parent: int, kind: str) -> bytes:
    return _HEADER.pack(0, link, handle, parent, 0) + attribute(_KIND, string(kind))


def _rate(rate: int) -> bytes:
    return _RATE.pack(0, _ETHERNET, 0, 0, 0, min(rate, _U32_MOST))


def _parse_bucket(options: bytes) -> FoundBucket | None:
    found = attribute_map(options)
    if _TBF_PARMS not in found:
        return None
    rate, peak, queue, ticks, peak_ticks = _TBF.unpack_from(
        found[_TBF_PARMS].ljust(_TBF.size, b"\0")
    )
    fast, faster = _whole_rate(rate, found, _TBF_RATE64), _whole_rate(peak, found, _TBF_PRATE64)
    return FoundBucket(fast, ticks, queue, faster, peak_ticks if faster else 0)


def _whole_rate(spec: bytes, found: dict[int, bytes], large: int) -> int:
    if large in found:
        return int(struct.unpack("=Q", found[large][:8].ljust(8, b"\0"))[0])
    return int(_RATE.unpack(spec)[-1])


def _parse_redirect(options: bytes) -> int:
    """The interface of the first action, if that is a redirection."""
    actions = attribute_map(attribute_map(options).get(_U32_ACTIONS, b""))
    action = attribute_map(actions.get(1, b""))
    if read_string(action.get(_ACTION_KIND, b"")) != "mirred":
        return 0
    told = attribute_map(action.get(_ACTION_OPTIONS, b"")).get(_MIRRED_PARMS, b"")
    if len(told) < _MIRRED.size or read_u32(told[20:]) != _REDIRECT:
        return 0
    return read_u32(told[24:])
