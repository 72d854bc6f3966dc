"""S4: the clock against the datastore's."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

_MOST = 5.0  # seconds; certificates and tokens bear a minute, leases and logs less


def judge(machine: Machine) -> Finding:
    """By the date in an answer of the datastore."""
    cluster = machine.cluster
    if cluster is None or cluster.clock is None:
        return ok("the datastore has no clock of its own, or none was asked")
    return judge_difference(cluster.clock)


def judge_difference(seconds: float) -> Finding:
    """How far the datastore's clock is ahead."""
    if abs(seconds) > _MOST:
        return warning(
            f"the datastore's clock is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}",
            "run an NTP client (chrony, systemd-timesyncd) on both",
        )
    return ok(f"within {max(abs(seconds), 1):.0f} s of the datastore's")


CHECK = Check(
    "S4",
    "clock",
    "a datastore of several hosts",
    "The date in an HTTP answer of the API server or of etcd, against this machine's clock. It has"
    " whole seconds; more than 5 are told, since certificates, tokens and leases count time.",
    judge,
    applies=lambda modes: modes.datastore in ("etcd", "kubernetes"),
)
