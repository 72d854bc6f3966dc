"""What the tunnels' devices look like."""

from msgspec import Struct


class VxlanSettings(Struct, frozen=True):
    """One VXLAN device. Felix's names and defaults: VXLANVNI, VXLANPort.

    `version` is the IP version of the packets inside and, as in Calico, outside. `mtu` is VXLANMTU
    or VXLANMTUV6; 0: what the underlay carries, less the overhead. `checksum_offload`: whether the
    kernel's checksums may be left to the network card (see ChecksumOffloadBroken in
    docs/networking.md).
    """

    version: int = 4
    device: str = "vxlan.calico"
    vni: int = 4096
    port: int = 4789
    mtu: int = 0
    checksum_offload: bool = True


VXLAN_V6 = VxlanSettings(version=6, device="vxlan-v6.calico")
"""The device for IPv6, by default."""


class IpipSettings(Struct, frozen=True):
    """The IPIP device of `node`. `mtu` is IpInIpMtu; 0: what the underlay carries, less 20."""

    node: str
    device: str = "tunl0"
    mtu: int = 0


VXLAN_OVERHEAD: dict[int, int] = {4: 50, 6: 70}  # bytes around a packet, by the outer IP version
IPIP_OVERHEAD = 20
LEAST_MTU: dict[int, int] = {4: 68, 6: 1280}  # below it the kernel has no such IP on an interface
