"""K1: etcd."""

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning

_MEMBERS = 3


def judge(machine: Machine) -> Finding:
    """By what its members said."""
    etcd = machine.cluster.etcd if machine.cluster else None
    if etcd is None:
        return warning("no etcd was asked", "name it: --datastore etcd:https://HOST:2379")
    if etcd.problem:
        return missing(etcd.problem, "see that its members are up, and rows P9 and K3")
    if not etcd.version.startswith("3."):
        return missing(f"etcd {etcd.version or 'of an unknown version'}", "use etcd v3")
    if etcd.silent:
        return warning(
            f"{', '.join(etcd.silent)} of {len(etcd.endpoints)} members don't answer",
            "start them, and see rows P9 and K3",
        )
    wishes = []
    if len(etcd.endpoints) < _MEMBERS:
        wishes.append(f"{_MEMBERS} members")
    if not etcd.encrypted:
        wishes.append("TLS")
    if not etcd.authenticated:
        wishes.append("authentication")
    found = f"etcd {etcd.version}, {len(etcd.endpoints)} named"
    if wishes:
        return warning(found, f"for production have {', '.join(wishes)}")
    return ok(f"{found}, with TLS and authentication")


CHECK = Check(
    "K1",
    "etcd",
    "an etcd datastore",
    "Each member that is named is asked for its version. Fewer than three members, no TLS, no"
    " client certificate and no user are warned about: good for trying, not for production.",
    judge,
    applies=lambda modes: modes.datastore == "etcd",
)
