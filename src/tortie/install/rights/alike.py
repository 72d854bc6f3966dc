"""Rules that several parts have alike, each with its own verbs or reason."""

from tortie.install.rights.roles import Rule, calico, of_group

LOCKED = calico(
    "Whether the datastore is locked, since it is being migrated.", ("get",), "ClusterInformation"
)


def slices(verbs: tuple[str, ...]) -> Rule:
    """Where a Service's packets go."""
    return of_group("", verbs, "discovery.k8s.io", "endpointslices")


def policies(why: str, verbs: tuple[str, ...], why_admins: str = "") -> tuple[Rule, Rule]:
    """Kubernetes' own policies, and those of its administrators."""
    admins = ("adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies")
    return (
        of_group(why, verbs, "networking.k8s.io", "networkpolicies"),
        of_group(why_admins, verbs, "policy.networking.k8s.io", *admins),
    )
