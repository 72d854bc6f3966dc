"""The tunnel between nodes: the VXLAN device and what it knows of the other ends.

What comes in: this node's tunnel end and the others', from the engine's deltas. What goes out: the
device, its address, and a forwarding and a neighbour entry for each other node. It never learns
from packets: what is not programmed is not reached. Routes into the tunnel belong to `routes`.
"""

from tortie.dataplane.tunnels.driver import VxlanDriver
from tortie.dataplane.tunnels.settings import VxlanSettings

__all__ = ["VxlanDriver", "VxlanSettings"]
