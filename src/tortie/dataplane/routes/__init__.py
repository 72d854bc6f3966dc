"""The routes of a node: to its own workloads, to blocks of addresses, to other nodes.

What comes in: endpoints and routes from the engine's deltas, and news of interfaces. What goes
out: differences to the kernel's table. It owns the routes of the cluster's protocol number, and
those of the device protocol on workload interfaces; it never touches another.
"""

from tortie.dataplane.routes.driver import RouteDriver
from tortie.dataplane.routes.settings import RouteSettings

__all__ = ["RouteDriver", "RouteSettings"]
