"""Limits of bandwidth into the kernel: looks at an interface, makes the steps, looks again.

Nothing is remembered of the kernel: limits change seldom and few interfaces have any, so that what
others do between two looks can't lead astray.
"""

import errno
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.follower import Follower, OpenSocket
from tortie.dataplane.qos import plan
from tortie.dataplane.qos.desired import IFB_PREFIX, DesiredShapes, Shape, ifb_name
from tortie.dataplane.qos.plan import HANDLE, PRIORITY, Seen, Step
from tortie.engine.delta import Delta
from tortie.linux.netlink.rtnetlink import Link, NewLink
from tortie.linux.netlink.rttc import ROOT, Filter, Qdisc
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost, NetlinkSocket
from tortie.linux.shaping import Shaping, has_hooks

_ROUNDS = 5  # a device is made, then looked at; somebody else may come between
_NOT_THERE = frozenset({errno.ENOENT, errno.ENODEV})


class Everything(NamedTuple):
    """All links and queues of the namespace, read at once."""

    links: Mapping[str, Link]
    queues: Mapping[int, tuple[Qdisc, ...]]


class QosDriver(Follower[str]):
    """The bandwidth of one node. What the kernel refuses is a Failure of the endpoint.

    `written` counts steps.
    """

    name = "qos"

    def __init__(self, open_socket: OpenSocket = NetlinkSocket) -> None:
        super().__init__(open_socket)
        self._desired = DesiredShapes()
        self._touched: set[str] = set()

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        self._touched |= self._desired.fold(delta)

    @property
    def _is_idle(self) -> bool:
        return not self._touched

    def link_changed(self, name: str, event: str) -> Applied:
        """An interface is now "up", "down" or "gone"."""
        interface = self._desired.behind(name)
        if not interface or event == "address":
            return self._applied()
        self._touched.add(interface)
        return self._guarded(self._write_pending)

    @property
    def _shaping(self) -> Shaping:
        return Shaping(self._opened())

    def _write_pending(self) -> None:
        for interface in sorted(self._touched | self._failures.keys()):
            self._shape(interface)
        self._touched.clear()

    def _settle(self) -> None:
        whole = self._everything()
        wanted = self._desired.interfaces
        for interface in sorted(wanted | _with_ours(whole) | self._failures.keys()):
            self._shape(interface, whole)
        needed = {ifb_name(interface) for interface in wanted}
        for link in whole.links.values():
            if link.kind == "ifb" and link.name.startswith(IFB_PREFIX) and link.name not in needed:
                self._wrote(self._links.delete(link.name))
        self._touched.clear()

    def _everything(self) -> Everything:
        queues: dict[int, tuple[Qdisc, ...]] = {}
        for one in self._shaping.qdiscs():
            queues[one.link] = (*queues.get(one.link, ()), one)
        return Everything({link.name: link for link in self._links.list()}, queues)

    def _shape(self, interface: str, whole: Everything | None = None) -> None:
        """Look and make steps until there are none; one interface's trouble stays its own."""
        shape, trouble = self._desired.shape(interface), "it does not stay as it is made"
        for _ in range(_ROUNDS):
            try:
                todo = plan.steps(shape, ifb_name(interface), self._look(interface, shape, whole))
                if not todo:
                    self._failures.pop(interface, None)
                    return
                whole = None
                self._make(todo, interface)
            except NetlinkLost:
                raise
            except NetlinkError as error:
                trouble = str(error)
        owner = self._desired.owner(interface)
        subject = str(owner) if owner else f"interface {interface}"
        self._failures[interface] = Failure(self.name, subject, f"bandwidth: {trouble}")

    def _look(self, interface: str, shape: Shape, whole: Everything | None) -> Seen:
        link, ifb = (self._find(one, whole) for one in (interface, ifb_name(interface)))
        if link is None:
            return Seen(ifb=ifb)
        queues = self._queues(link, whole)
        hooks = has_hooks(queues)
        incoming = tuple(self._shaping.filters(link.index)) if hooks else ()
        outgoing = tuple(self._shaping.filters(link.index, outgoing=True)) if hooks else ()
        return Seen(
            link=link,
            queues=queues,
            hooks=hooks,
            incoming=incoming,
            outgoing=outgoing,
            links=self._targets(incoming) if shape.egress else (),
            ifb=ifb,
            ifb_queues=self._queues(ifb, whole) if ifb else (),
        )

    def _find(self, name: str, whole: Everything | None) -> Link | None:
        if whole is not None:
            return whole.links.get(name)
        try:
            return self._links.find(name)
        except ValueError:  # a name that no interface can have: the policy's driver says so
            return None

    def _queues(self, link: Link, whole: Everything | None) -> tuple[Qdisc, ...]:
        if whole is not None:
            return whole.queues.get(link.index, ())
        return tuple(self._shaping.qdiscs(link.index))

    def _targets(self, filters: Iterable[Filter]) -> tuple[tuple[int, str], ...]:
        """The links that somebody else's filters send to."""
        others = {one.redirect for one in filters if one.priority != PRIORITY and one.redirect}
        if not others:
            return ()
        return tuple((link.index, link.name) for link in self._links.list() if link.index in others)

    def _make(self, todo: list[Step], interface: str) -> None:
        for step in todo:
            try:
                self._do(step, interface)
            except NetlinkError as error:
                if error.errno not in _NOT_THERE or not _removes(step):
                    raise
            self._wrote(1)

    def _do(self, step: Step, interface: str) -> None:
        shaping, links = self._shaping, self._links
        match step:
            case plan.PutBucket(link, bucket):
                shaping.put_bucket(link, HANDLE, bucket)
            case plan.DropBucket(link):
                shaping.delete_root(link, HANDLE)
            case plan.MakeIfb():
                name = ifb_name(interface)
                if links.find(name) is None:
                    links.create(NewLink(name, "ifb", up=True))
                else:
                    links.set_up(name)
            case plan.DropIfb(name):
                links.delete(name)
            case plan.AddHooks(link):
                shaping.add_hooks(link)
            case plan.DropHooks(link):
                shaping.delete_hooks(link)
            case plan.Redirect(link, to):
                shaping.add_redirect(link, PRIORITY, to)
            case plan.DropFilter(link, priority):
                shaping.delete_filter(link, priority)


def _removes(step: Step) -> bool:
    return isinstance(step, plan.DropBucket | plan.DropFilter | plan.DropHooks | plan.DropIfb)


def _with_ours(whole: Everything) -> set[str]:
    """The interfaces on which something of ours may be, by their queues."""
    return {
        link.name
        for link in whole.links.values()
        if link.kind != "ifb"
        and any(
            (one.parent == ROOT and one.handle == HANDLE) or one.kind == "clsact"
            for one in whole.queues.get(link.index, ())
        )
    }
