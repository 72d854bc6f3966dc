"""WireGuard: what goes to workloads of other nodes travels encrypted, whatever their pool's mode.

What comes in: every node's public key and addresses, the routes to other nodes, local workloads'
addresses, from the engine's deltas. What goes out: a device with a peer for each node that takes
part, a routing table of its own that leads to it, and the rule that has packets look there before
the main table. Once a node takes part, what WireGuard can't carry is dropped, never sent in clear.
"""

from tortie.dataplane.wireguard.driver import WireguardDriver, driver_name
from tortie.dataplane.wireguard.keys import Keys, public_key
from tortie.dataplane.wireguard.settings import WireguardSettings

__all__ = ["Keys", "WireguardDriver", "WireguardSettings", "driver_name", "public_key"]
