"""Limits of bandwidth as the kernel's token buckets.

What comes in: the engine's deltas, of which endpoints with a bandwidth matter. What goes out: for
what a workload gets, a bucket on the host's end of its interface; for what it sends, a bucket on an
`ifb` device through which everything from the interface is sent. `desired` folds and says which
bucket a limit is, `plan` compares (both pure), `driver` acts. Packet rates, connections and DSCP
are rules of the firewall's drivers.
"""

from tortie.dataplane.qos.driver import QosDriver

__all__ = ["QosDriver"]
