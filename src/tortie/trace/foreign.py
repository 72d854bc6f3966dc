"""Which manifests of people's are none of policy's business.

A folder is full of them: secrets, roles, objects of other projects. What is only misspelt must not
pass for one of these, since it would silently be a policy less, or a workload.
"""

from difflib import get_close_matches
from functools import cache

from tortie.api import KINDS, UnknownKind
from tortie.api.registry import kind_of_manifest
from tortie.trace.templates import WORKLOADS

_POLICIES = ("NetworkPolicy", "NetworkSet", "HostEndpoint", "WorkloadEndpoint")
_ALONE = ("projectcalico.org", "policy.networking.k8s.io")  # groups in which no kind is foreign
_SPELT_ALIKE = frozenset({"Endpoints"})  # kinds of Kubernetes that no misspelt one of ours is
_LIKE_A_KIND = 0.8  # of difflib; "Secret" is 0.77 of a Service, "NetworkPolcy" 0.96 of a policy
_LIKE_A_GROUP = 0.9


@cache
def is_foreign(api_version: str, kind: str) -> bool:
    """Whether no policy depends on such a manifest. False for what may be a mistake."""
    if kind.endswith("List") or _is_known(api_version, kind):
        return False
    group = api_version.rpartition("/")[0]
    if group.endswith(_ALONE):
        return False
    ours = _kinds_by_group()
    if group in ours:
        near = get_close_matches(kind.lower(), ours[group], n=1, cutoff=_LIKE_A_KIND)
        return not near or kind in _SPELT_ALIKE
    if get_close_matches(group, (*_ALONE, *filter(None, ours)), n=1, cutoff=_LIKE_A_GROUP):
        return False
    return not any(kind == each.manifest_kind for each in KINDS.values() if _is_policy(each.name))


def _is_known(api_version: str, kind: str) -> bool:
    try:
        kind_of_manifest(api_version, kind)
    except UnknownKind:
        return False
    return True


def _is_policy(name: str) -> bool:
    return name.endswith(_POLICIES)


@cache
def _kinds_by_group() -> dict[str, frozenset[str]]:
    """Groups of Kubernetes with kinds that count here, in lower case: policies in each of them."""
    policies = {each.manifest_kind.lower() for each in KINDS.values() if _is_policy(each.name)}
    found: dict[str, set[str]] = {}
    known = [(each.api_version.rpartition("/")[0], each.manifest_kind) for each in KINDS.values()]
    for group, kind in (*known, *WORKLOADS):
        if not group.endswith(_ALONE):
            found.setdefault(group, set()).add(kind.lower())
    return {group: frozenset(kinds | policies) for group, kinds in found.items()}
