"""Links and their addresses: what `ip link` and `ip address` do, over one netlink socket."""

import errno
from collections.abc import Sequence

from msgspec.structs import replace

from tortie.linux.netlink.rtaddress import SCOPE_GLOBAL
from tortie.linux.netlink.rtnetlink import (
    AS_BORN,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_SETLINK,
    Address,
    Link,
    NewLink,
    PacketSizes,
    Vxlan,
    build_address,
    build_address_query,
    build_group_query,
    build_link_change,
    build_link_query,
    build_new_link,
    parse_address,
    parse_link,
)
from tortie.linux.netlink.rtspace import RTM_GETNSID, build_space_query, parse_space
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from tortie.net import Prefix

_NEW = NLM_F_CREATE | NLM_F_EXCL


class Links:
    """Interfaces of the socket's namespace. Everything raises NetlinkError for a refusal."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._sock = sock

    def list(self) -> list[Link]:
        """Every interface."""
        request = Request(RTM_GETLINK, build_link_query(), about="listing the interfaces")
        return [parse_link(m.payload) for m in self._sock.dump(request) if m.type == RTM_NEWLINK]

    def find(self, name: str) -> Link | None:
        """One interface by name, None when there is none."""
        request = Request(RTM_GETLINK, build_link_query(name=name), about=f"interface {name}")
        try:
            return parse_link(self._sock.request(request)[0].payload)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def get(self, name: str) -> Link:
        """One interface by name; an error with ENODEV when there is none."""
        found = self.find(name)
        if found is None:
            raise NetlinkError(errno.ENODEV, "", f"interface {name}")
        return found

    def number_of(self, descriptor: int) -> int:
        """The number by which the socket's namespace calls an open one; `Link.parent_space` has it
        of a link whose other end is there. NOT_KNOWN: it calls that one by no number.
        """
        request = Request(RTM_GETNSID, build_space_query(descriptor), about="a namespace's number")
        return parse_space(self._sock.request(request)[0].payload)

    def create(self, link: NewLink) -> None:
        """Make an interface as described."""
        what = f"creating {link.kind} {link.name}"
        self._sock.request(Request(RTM_NEWLINK, build_new_link(link), _NEW, what))

    def create_veth(
        self,
        name: str,
        peer_name: str,
        peer_netns: int | None = None,
        *,
        netns: int | None = None,
        mtu: int = 0,
        mac: str | None = None,
        peer_mac: str | None = None,
        queues: int = 0,
        sizes: PacketSizes = AS_BORN,
    ) -> None:
        """Make a pair, each end born in its namespace (open descriptors): no end is seen elsewhere.

        `mtu`, `queues` (of each direction) and `sizes` are for both ends; 0 is the kernel's choice.
        """
        own = NewLink(name, "veth", mac, mtu, netns=netns, queues=queues, sizes=sizes)
        peer = NewLink(
            peer_name, mac=peer_mac, mtu=mtu, netns=peer_netns, queues=queues, sizes=sizes
        )
        self.create(replace(own, peer=peer))

    def create_vxlan(
        self, name: str, vxlan: Vxlan, *, mtu: int = 0, mac: str | None = None
    ) -> None:
        """Make a VXLAN device."""
        self.create(NewLink(name, "vxlan", mac, mtu, vxlan=vxlan))

    def create_bridge(self, name: str) -> None:
        """Make a bridge without ports."""
        self.create(NewLink(name, "bridge"))

    def create_ipip(self, name: str) -> None:
        """Make an IPIP device whose routes say where packets go; no error where it is there.

        Loading the kernel's module makes a tunl0 in every namespace by itself.
        """
        try:
            self.create(NewLink(name, "ipip"))
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise

    def delete(self, name: str) -> bool:
        """Delete an interface; returns False when there was none."""
        request = Request(RTM_DELLINK, build_link_query(name=name), about=f"deleting {name}")
        try:
            self._sock.request(request)
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def delete_group(self, group: int) -> None:
        """Delete every interface of a group at once: the kernel waits once, not for each."""
        about = f"deleting the interfaces of group {group}"
        self._sock.request(Request(RTM_DELLINK, build_group_query(group), about=about))

    def set_aside(self, link: Link, name: str, group: int) -> bool:
        """Rename an interface into a group and take it down; returns False when it is gone.

        In one step, so that nobody sees it down by the name that it had.
        """
        change = build_link_change(link.index, name=name, group=group, up=False)
        try:
            self._change(link.name, f"aside as {name}", change)
        except NetlinkError as error:
            if error.errno == errno.EBUSY:  # kernels before 6.2 rename only what is down
                return self._set_aside_down(link, name, group)
            if error.errno != errno.ENODEV:
                raise
            return False
        return True

    def _set_aside_down(self, link: Link, name: str, group: int) -> bool:
        about = f"interface {link.name} aside as {name}"
        down = Request(RTM_SETLINK, build_link_change(link.index, up=False), about=about)
        away = build_link_change(link.index, name=name, group=group)
        errors = self._sock.batch([down, Request(RTM_SETLINK, away, about=about)])
        for error in errors.values():
            if error.errno != errno.ENODEV:
                raise error
        return not errors

    def set_up(self, name: str) -> None:
        """Bring an interface up."""
        self.bring_up(self.get(name))

    def bring_up(self, link: Link) -> None:
        """The same for one that has been looked at already."""
        self._change(link.name, "up", build_link_change(link.index, up=True))

    def set_down(self, name: str) -> None:
        """Take an interface down."""
        self._change(name, "down", build_link_change(self.get(name).index, up=False))

    def set_mtu(self, name: str, mtu: int) -> None:
        """Set the MTU, in bytes."""
        self._change(name, f"mtu {mtu}", build_link_change(self.get(name).index, mtu=mtu))

    def set_sizes(self, name: str, sizes: PacketSizes) -> None:
        """Let it handle packets up to these sizes; what is 0 stays as it is."""
        change = build_link_change(self.get(name).index, sizes=sizes)
        self._change(name, f"packet sizes {tuple(sizes)}", change)

    def set_mac(self, name: str, mac: str) -> None:
        """Set the hardware address. Raises ValueError for text that is none."""
        self._change(name, f"address {mac}", build_link_change(self.get(name).index, mac=mac))

    def set_master(self, name: str, bridge: str | None) -> None:
        """Put an interface on a bridge; None takes it off."""
        master = self.get(bridge).index if bridge else 0
        change = build_link_change(self.get(name).index, master=master)
        self._change(name, f"master {bridge}", change)

    def rename(self, name: str, wanted: str) -> None:
        """Call it otherwise; before Linux 6.2 only while it is down (EBUSY)."""
        change = build_link_change(self.get(name).index, name=wanted)
        self._change(name, f"name {wanted}", change)

    def _change(self, name: str, what: str, payload: bytes) -> None:
        self._sock.request(Request(RTM_SETLINK, payload, about=f"interface {name} {what}"))

    def addresses(self, name: str | None = None) -> Sequence[Address]:
        """The addresses of one interface, or of all."""
        index = self.get(name).index if name else 0
        about = f"listing the addresses of {name or 'every interface'}"
        request = Request(RTM_GETADDR, build_address_query(index=index), about=about)
        found = [parse_address(m.payload) for m in self._sock.dump(request)]
        return [address for address in found if index in (0, address.index)]

    def addresses_by_name(self) -> dict[str, frozenset[Prefix]]:
        """The addresses themselves of every interface that has any."""
        names = {link.index: link.name for link in self.list()}
        found: dict[str, set[Prefix]] = {}
        for one in self.addresses():
            if one.index in names:
                address = Prefix.single(one.prefix.version, one.prefix.address)
                found.setdefault(names[one.index], set()).add(address)
        return {name: frozenset(held) for name, held in found.items()}

    def add_address(
        self, name: str, prefix: Prefix, *, flags: int = 0, scope: int = SCOPE_GLOBAL
    ) -> None:
        """Give an interface an address ("10.0.0.5/24"); having it already is no error."""
        self.give_address(self.get(name), prefix, flags=flags, scope=scope)

    def give_address(
        self, link: Link, prefix: Prefix, *, flags: int = 0, scope: int = SCOPE_GLOBAL
    ) -> None:
        """The same for one that has been looked at already."""
        address = Address(link.index, prefix, scope, flags)
        what = f"address {prefix} on {link.name}"
        wanted = NLM_F_CREATE | NLM_F_REPLACE
        self._sock.request(Request(RTM_NEWADDR, build_address(address), wanted, what))

    def delete_address(self, name: str, prefix: Prefix) -> bool:
        """Take an address from an interface; returns False when it had none such."""
        payload = build_address(Address(self.get(name).index, prefix))
        about = f"deleting address {prefix} of {name}"
        try:
            self._sock.request(Request(RTM_DELADDR, payload, about=about))
        except NetlinkError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return False
            raise
        return True
