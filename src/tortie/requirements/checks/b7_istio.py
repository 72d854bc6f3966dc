"""B7: Istio, for policy of the application layer."""

import re

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning
from tortie.requirements.modes import Purpose

_NUMBERS = re.compile(r"v?1\.(\d+)")
# Istio's releases (1.N) and the first and last Kubernetes (1.N) that each supports, as its own page
# "Supported releases" tells.
SUPPORTED = {
    15: (22, 25),
    16: (22, 25),
    17: (23, 26),
    18: (24, 27),
    19: (25, 28),
    20: (25, 29),
    21: (26, 29),
    22: (27, 30),
    23: (27, 30),
    24: (28, 31),
    25: (29, 32),
    26: (29, 33),
    27: (29, 33),
}


def judge(machine: Machine) -> Finding:
    """Whether it is there, and goes with this Kubernetes."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    if kube is None or not kube.istio:
        return ok("not installed: rules with http are not enforced without it")
    return judge_versions(kube.istio, kube.version)


def judge_versions(istio: str, kubernetes: str) -> Finding:
    """ "1.22.3" and "v1.30.2"."""
    found, beneath = _NUMBERS.match(istio), _NUMBERS.match(kubernetes)
    if found is None or beneath is None:
        return warning(f"Istio {istio}, Kubernetes {kubernetes}", "use released versions")
    ours, theirs = int(found[1]), int(beneath[1])
    if ours not in SUPPORTED:
        return warning(
            f"Istio {istio} is not known here", "compare istio.io's page of supported releases"
        )
    first, last = SUPPORTED[ours]
    if not first <= theirs <= last:
        return warning(
            f"Istio {istio} is for Kubernetes 1.{first} to 1.{last}, this is {kubernetes}",
            "upgrade the older one of them",
        )
    return ok(f"Istio {istio} with Kubernetes {kubernetes}")


CHECK = Check(
    "B7",
    "Istio",
    "rules with http",
    "The version of istiod against Kubernetes', by Istio's table of supported releases. Without"
    " Istio everything else works.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
