"""What a role is, and the objects of an API server that it becomes."""

from typing import Any, NamedTuple

from tortie.api.crds import has_status, plural_of

NAMESPACE = "kube-system"
STORAGE = "crd.projectcalico.org"  # the group in which an aggregated server stores
_RBAC = "rbac.authorization.k8s.io"
_VERSION = f"{_RBAC}/v1"

READ = ("get", "list", "watch")
FOLLOW = ("list", "watch")


class Rule(NamedTuple):
    """Verbs on resources, and why.

    `kinds` are Calico's (names of `tortie.api`; "Tier/status" is its status), in whichever group
    the cluster keeps them; `resources` are others, of `group` ("": Kubernetes' core), of the
    objects of these `names` alone where there are any.
    """

    why: str
    verbs: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    group: str = ""
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    only: str = ""  # the group that it is for; "": both


class Role(NamedTuple):
    """A ClusterRole. `account` is the ServiceAccount that has it; "" where nobody has it yet."""

    name: str
    why: str
    rules: tuple[Rule, ...]
    account: str = ""


def calico(why: str, verbs: tuple[str, ...], *kinds: str) -> Rule:
    """A rule about kinds of Calico's."""
    return Rule(why, verbs, kinds=kinds)


def stored(why: str, *kinds: str) -> Rule:
    """The right to delete kinds of Calico's where an aggregated server stores them."""
    return Rule(why, ("delete",), kinds=kinds, only=STORAGE)


def core(why: str, verbs: tuple[str, ...], *resources: str, names: tuple[str, ...] = ()) -> Rule:
    """A rule about Kubernetes' own objects."""
    return Rule(why, verbs, resources=resources, names=names)


def of_group(why: str, verbs: tuple[str, ...], group: str, *resources: str) -> Rule:
    """A rule about the resources of another group of Kubernetes'."""
    return Rule(why, verbs, group=group, resources=resources)


def account(name: str) -> dict[str, Any]:
    """The ServiceAccount of a part."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": NAMESPACE},
    }


def cluster_role(role: Role, group: str) -> dict[str, Any]:
    """The ClusterRole, for a cluster that keeps Calico's kinds in `group`.

    Rules that say nothing there are left out: the group of storage has no statuses of its own.
    """
    rules = [found for rule in role.rules if (found := rule_in(rule, group))]
    return {
        "apiVersion": _VERSION,
        "kind": "ClusterRole",
        "metadata": {"name": role.name},
        "rules": rules,
    }


def binding(role: Role) -> dict[str, Any]:
    """What gives the role to its account."""
    subject = {"kind": "ServiceAccount", "name": role.account, "namespace": NAMESPACE}
    return {
        "apiVersion": _VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role.name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role.name},
        "subjects": [subject],
    }


def rule_in(rule: Rule, group: str) -> dict[str, Any] | None:
    """A rule as the API has it; None where nothing of it is there in `group`."""
    if rule.only not in ("", group):
        return None
    resources = _plurals(rule.kinds, group) if rule.kinds else list(rule.resources)
    if not resources:
        return None
    found: dict[str, Any] = {
        "apiGroups": [group if rule.kinds else rule.group],
        "resources": resources,
    }
    if rule.names:
        found["resourceNames"] = list(rule.names)
    return {**found, "verbs": list(rule.verbs)}


def _plurals(kinds: tuple[str, ...], group: str) -> list[str]:
    found = []
    for each in kinds:
        kind, _, status = each.partition("/")
        if not status:
            found.append(plural_of(kind, group))
        elif has_status(kind, group):
            found.append(f"{plural_of(kind, group)}/{status}")
    return found
