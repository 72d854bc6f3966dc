"""Where an API server keeps the kinds that an installation is made of."""

from typing import NamedTuple
from urllib.parse import quote

from tortie.install.manifests.objects import Object


class Place(NamedTuple):
    """A kind: its version ("apps/v1"), its name and its name in paths."""

    version: str
    kind: str
    plural: str

    @property
    def collection(self) -> str:
        """The path of all its objects, of whatever namespace."""
        return f"{self._root}/{self.plural}"

    def within(self, namespace: str) -> str:
        """The path of its objects in one namespace; "" for kinds that are in none."""
        between = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{self._root}{between}/{self.plural}"

    @property
    def _root(self) -> str:
        return f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"


_RBAC = "rbac.authorization.k8s.io/v1"
PLACES = (
    Place("apps/v1", "DaemonSet", "daemonsets"),
    Place("apps/v1", "Deployment", "deployments"),
    Place("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Place("v1", "Service", "services"),
    Place("v1", "ConfigMap", "configmaps"),
    Place("v1", "Secret", "secrets"),
    Place(_RBAC, "ClusterRoleBinding", "clusterrolebindings"),
    Place(_RBAC, "ClusterRole", "clusterroles"),
    Place("v1", "ServiceAccount", "serviceaccounts"),
    Place("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
)
"""All kinds of an installation, in the order in which they are removed: first what runs."""

NODES = Place("v1", "Node", "nodes")
LEASES = Place("coordination.k8s.io/v1", "Lease", "leases")
_BY_KIND = {(each.version, each.kind): each for each in (*PLACES, NODES, LEASES)}


def place_of(made: Object) -> Place:
    """Where an object of an installation is."""
    version, kind = made["apiVersion"], made["kind"]
    return _BY_KIND[version, kind]


def defined(definition: Object) -> Place:
    """Where the objects are that a CustomResourceDefinition defines."""
    spec = definition["spec"]
    version = f"{spec['group']}/{spec['versions'][0]['name']}"
    return Place(version, spec["names"]["kind"], spec["names"]["plural"])
