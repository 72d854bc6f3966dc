"""Which interfaces have a limit of bandwidth, and which bucket that is. Pure."""

from hashlib import sha256
from typing import NamedTuple

from tortie.api.calico.workload_endpoint import QosControls
from tortie.engine.delta import Delta
from tortie.linux.netlink.rttc import Bucket
from tortie.policy.program import EndpointId

IFB_PREFIX = "bwcali"
_ETHERNET_HEADER = 14
_MOST = 0xFFFFFFFF
# What waits for tokens: 25 ms of the rate, more where that is little beside what senders put on the
# wire at once (a segment that the device cuts is 64 KiB), but never more than 250 ms of it.
_WAIT, _LONGEST_WAIT = 40, 4  # parts of a second
_LEAST_QUEUE, _WHOLE_QUEUE = 64 * 1024, 512 * 1024


class Limit(NamedTuple):
    """A limit of one direction: bytes per second and bytes; 0 where it says nothing."""

    rate: int
    burst: int = 0
    peak: int = 0
    peak_burst: int = 0


class Shape(NamedTuple):
    """The limits of an interface: what goes to the workload, what comes from it."""

    ingress: Limit | None = None
    egress: Limit | None = None


def shape_of(controls: QosControls | None) -> Shape:
    """The bandwidth of an endpoint's limits; those in bits come out in bytes."""
    if controls is None:
        return Shape()
    one = controls
    return Shape(
        _limit(
            one.ingress_bandwidth, one.ingress_burst, one.ingress_peakrate, one.ingress_minburst
        ),
        _limit(one.egress_bandwidth, one.egress_burst, one.egress_peakrate, one.egress_minburst),
    )


def _limit(
    bandwidth: int | None, burst: int | None, peak: int | None, peak_burst: int | None
) -> Limit | None:
    if not bandwidth:
        return None
    return Limit(max(bandwidth // 8, 1), (burst or 0) // 8, (peak or 0) // 8, peak_burst or 0)


def bucket_of(limit: Limit, mtu: int) -> Bucket:
    """The bucket that holds a limit on an interface. A whole packet always fits."""
    packet = mtu + _ETHERNET_HEADER
    return Bucket(
        rate=limit.rate,
        burst=min(max(limit.burst, packet), _MOST),
        queue=_queue(limit.rate, packet),
        peak=limit.peak,
        peak_burst=max(limit.peak_burst, packet) if limit.peak else 0,
    )


def _queue(rate: int, packet: int) -> int:
    some = min(rate // _LONGEST_WAIT, _WHOLE_QUEUE)
    return min(max(rate // _WAIT, some, _LEAST_QUEUE, 2 * packet), _MOST)


def ifb_name(interface: str) -> str:
    """bwcali1f2e3d4c5: the device in which what comes from an interface waits."""
    return IFB_PREFIX + sha256(interface.encode()).hexdigest()[:9]


class DesiredShapes:
    """The folded deltas of one node, as far as they ask for bandwidth."""

    def __init__(self) -> None:
        self._endpoints: dict[EndpointId, tuple[str, Shape]] = {}
        self._claims: dict[str, set[EndpointId]] = {}  # of all endpoints: who has an interface
        self._ifbs: dict[str, str] = {}

    def fold(self, delta: Delta) -> set[str]:
        """Take a delta in; the interfaces whose limits may have changed."""
        touched: set[str] = set()
        for name in (*delta.endpoints_removed, *delta.endpoints):
            touched |= self._forget(name)
            endpoint = delta.endpoints.get(name)
            if endpoint is not None:
                before = self.shape(endpoint.interface)
                self._claims.setdefault(endpoint.interface, set()).add(name)
                self._endpoints[name] = endpoint.interface, shape_of(endpoint.qos)
                if any(before) or any(self.shape(endpoint.interface)):
                    touched.add(endpoint.interface)
        for interface in touched:
            self._ifbs[ifb_name(interface)] = interface
            if not any(self.shape(interface)):
                del self._ifbs[ifb_name(interface)]
        return touched

    def _forget(self, name: EndpointId) -> set[str]:
        interface, _ = self._endpoints.get(name, ("", Shape()))
        if not interface:
            return set()
        before = self.shape(interface)
        del self._endpoints[name]
        self._claims[interface].discard(name)
        if not self._claims[interface]:
            del self._claims[interface]
        return {interface} if any(before) or any(self.shape(interface)) else set()

    @property
    def interfaces(self) -> set[str]:
        """The interfaces with limits."""
        return set(self._ifbs.values())

    def owner(self, interface: str) -> EndpointId | None:
        """Whose interface it is: the lowest id's, as for policy and routes."""
        return min(self._claims.get(interface, ()), default=None)

    def shape(self, interface: str) -> Shape:
        """The limits of an interface."""
        owner = self.owner(interface)
        return Shape() if owner is None else self._endpoints[owner][1]

    def behind(self, name: str) -> str:
        """The interface whose limits depend on this link (itself, or its `ifb`); "" for none."""
        interface = self._ifbs.get(name, name)
        return interface if any(self.shape(interface)) else ""
