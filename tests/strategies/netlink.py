"""Netlink values for property tests."""

from hypothesis import strategies as st

from tortie.linux.netlink.rtaddress import Address
from tortie.linux.netlink.rtlink import Link, PacketSizes, Vxlan
from tortie.linux.netlink.rtneighbour import Forwarding, Neighbour
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.wire import Attribute, Message
from tortie.net import Prefix

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
indexes = st.integers(1, 0x7FFFFFFF)
widths = st.sampled_from([(4, 32), (6, 128)])
macs = st.binary(min_size=6, max_size=6).map(lambda value: value.hex(":"))
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=15).filter(
    lambda name: name not in (".", "..")
)

messages = st.builds(Message, u16, u16, u32, u32, st.binary(max_size=64))
attributes = st.builds(Attribute, st.integers(0, 0x3FFF), st.binary(max_size=64))
singles = widths.flatmap(
    lambda family: st.integers(0, 2 ** family[1] - 1).map(
        lambda address: Prefix.single(family[0], address)
    )
)
interface_addresses = widths.flatmap(
    lambda family: st.builds(
        Prefix,
        st.just(family[0]),
        st.integers(0, 2 ** family[1] - 1),
        st.integers(0, family[1]),
    )
)
networks = interface_addresses.map(lambda prefix: prefix.network)
addresses = st.builds(Address, indexes, interface_addresses, u8, u32)
vxlans = st.builds(
    Vxlan,
    vni=st.integers(0, 0xFFFFFF),
    port=u16,
    local=st.none() | singles,
    parent=st.integers(0, 0x7FFFFFFF),
    learning=st.booleans(),
)
_plain_links = st.builds(
    Link,
    index=indexes,
    name=names,
    kind=st.sampled_from(["", "veth", "bridge"]),
    mac=st.just("") | macs,
    mtu=u32,
    up=st.booleans(),
    carrier=st.booleans(),
    running=st.booleans(),
    parent=st.integers(0, 0x7FFFFFFF),
    master=st.integers(0, 0x7FFFFFFF),
    sizes=st.builds(PacketSizes, u32, u32),
    parent_space=st.integers(-1, 2**31 - 1),
)
_vxlan_links = st.builds(
    Link, index=indexes, name=names, kind=st.just("vxlan"), mac=macs, mtu=u32, vxlan=vxlans
)
links = _plain_links | _vxlan_links
neighbours = st.builds(Neighbour, indexes, singles, macs, u16, u8)
forwardings = st.builds(Forwarding, indexes, macs, st.none() | singles, u16, u8)


def _route(destination: Prefix) -> st.SearchStrategy[KernelRoute]:
    width = 32 if destination.version == 4 else 128
    return st.builds(
        KernelRoute,
        destination=st.just(destination),
        type=u8,
        protocol=u8,
        scope=u8,
        table=u32,
        priority=u32,
        oif=st.integers(0, 0x7FFFFFFF),
        gateway=st.none() | st.integers(0, 2**width - 1),
        onlink=st.booleans(),
        multipath=st.binary(max_size=32),
    )


routes = networks.flatmap(_route)
