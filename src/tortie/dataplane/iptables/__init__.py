"""The policy program as iptables rules and ipset's sets, for machines whose firewall is iptables.

What comes in: the engine's deltas. What goes out: chains `cali-…` in the tables filter, raw and
nat, one `iptables-restore` for each table and IP version, and sets `cali40…`, `cali60…`. `matches`,
`chains`, `skeleton` and `sets` render, `desired` folds, `plan` and `repair` compare, `restore` and
`reading` are the texts of the commands: all pure. `commands` and `driver` act; `succession` removes
what a driver of earlier settings left. It never decides a verdict: what a rule means is
`tortie.policy.evaluate`'s to say, and tests hold both to the same packets.
"""

from tortie.dataplane.iptables.commands import IptablesError
from tortie.dataplane.iptables.driver import IptablesDataplane
from tortie.dataplane.iptables.settings import Backend, IptablesSettings
from tortie.dataplane.iptables.succession import Firewall, Succession, policy_driver

__all__ = [
    "Backend",
    "Firewall",
    "IptablesDataplane",
    "IptablesError",
    "IptablesSettings",
    "Succession",
    "policy_driver",
]
