"""From a stream of resources to what one node's kernel should hold, incrementally.

What comes in: `Update`s of resources in any order. What goes out: a `Delta` of this node's desired
state: sets, policies, profiles, endpoints, routes, tunnel ends. Equal final resources give equal
final state, whatever the order and batching. Cost follows the change: an update looks only at the
selectors, sets and endpoints that it can affect. It never performs I/O and keeps no clock.
"""

from tortie.engine.delta import Delta
from tortie.engine.engine import Engine
from tortie.engine.state import NodeState

__all__ = ["Delta", "Engine", "NodeState"]
