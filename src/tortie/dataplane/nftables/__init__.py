"""The policy program as nftables rules.

What comes in: the engine's deltas. What goes out: the tables `ip calico` and `ip6 calico`, written
by differences, one transaction a change. `chains`, `matches`, `skeleton` and `sets` render,
`desired` folds, `plan` and `repair` compare, `transaction` orders: all pure. `kernel` and `driver`
act. It never decides a verdict: what a rule means is `tortie.policy.evaluate`'s to say, and tests
hold both to the same packets.
"""

from tortie.dataplane.nftables.driver import NftablesDataplane
from tortie.dataplane.nftables.settings import NftSettings

__all__ = ["NftSettings", "NftablesDataplane"]
