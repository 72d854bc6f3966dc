"""What the tunnel's device looks like."""

from msgspec import Struct

OVERHEAD: dict[int, int] = {4: 50, 6: 70}  # bytes around a packet, by the underlay's IP version


class VxlanSettings(Struct, frozen=True):
    """Felix's names and defaults: VXLANVNI, VXLANPort, VXLANMTU (0: the underlay's, less 50)."""

    device: str = "vxlan.calico"
    vni: int = 4096
    port: int = 4789
    mtu: int = 0
