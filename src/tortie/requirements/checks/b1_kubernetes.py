"""B1: the version of Kubernetes."""

import re

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Purpose

OLDEST, TESTED = (1, 21), (1, 27)
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)")


def judge(machine: Machine) -> Finding:
    """What the API server says."""
    kube = machine.cluster.kubernetes if machine.cluster else None
    if kube is None or not kube.version:
        return warning(
            "no API server was asked" if kube is None else kube.problem or "it tells no version",
            "name it: --datastore kubernetes:KUBECONFIG, or $KUBECONFIG",
        )
    return judge_version(kube.version)


def judge_version(text: str) -> Finding:
    """ "v1.30.2", "1.27+"."""
    found = _NUMBERS.match(text)
    if found is None or found[1] == "0":  # built from its sources without a release's name
        return warning(f"{text!r} is no release", "see which API server this is")
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        return missing(
            f"{text}: it lacks the discovery of services by EndpointSlice v1 and other APIs",
            "upgrade Kubernetes to 1.27 or later; below 1.21 nothing is installed",
        )
    if version < TESTED:
        return warning(f"{text}: it should work, but is not tested", "upgrade to 1.27 or later")
    return ok(text)


CHECK = Check(
    "B1",
    "Kubernetes",
    "--for kubernetes",
    "The version that the API server tells. 1.27 to 1.30 are tested, newer ones expected to work."
    " Below 1.21 it is refused: `policy/v1`, `discovery.k8s.io/v1` (EndpointSlices) and bound"
    " tokens of service accounts, which we use, begin there. The API of NetworkPolicy is"
    " `networking.k8s.io/v1`.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.KUBERNETES,
)
