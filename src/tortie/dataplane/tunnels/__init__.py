"""The tunnels between nodes: the VXLAN devices, what they know of the other ends, and tunl0.

What comes in: this node's tunnel ends and the others', from the engine's deltas. What goes out: the
devices, their addresses, and for VXLAN a forwarding and a neighbour entry for each other node. They
never learn from packets: what is not programmed is not reached. Routes into the tunnels belong to
`routes`.
"""

from tortie.dataplane.tunnels.driver import VxlanDriver, driver_name
from tortie.dataplane.tunnels.ipip import IpipDriver
from tortie.dataplane.tunnels.settings import VXLAN_V6, IpipSettings, VxlanSettings

__all__ = [
    "VXLAN_V6",
    "IpipDriver",
    "IpipSettings",
    "VxlanDriver",
    "VxlanSettings",
    "driver_name",
]
