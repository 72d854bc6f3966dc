"""A node for tests whose datastore is a real kube-apiserver, with the rights of the manifests."""

import sys
from contextlib import contextmanager

from msgspec.structs import replace

from cni.node import RealNode
from servers.process import running
from tortie.api import Namespace, Pod
from tortie.api.kube.pod import Container
from tortie.install.rights.node import NODE
from tortie.install.rights.plugin import PLUGIN
from tortie.install.rights.roles import binding, cluster_role

_ACCOUNT = "cni-test"


class KubeNode(RealNode):
    """A node of a cluster of Kubernetes; tests write as its administrator."""

    def __init__(self, folder, kube, **options):
        self.kube = kube
        file = folder / "kubeconfig"
        super().__init__(folder, database=f"kubernetes:{file}", **options)
        token = kube.token("kube-system", _ACCOUNT)
        file.write_text(kube.kubeconfig(token=token))

    @property
    def settings(self):
        return self.kube.client()

    def store(self, work):
        """As the administrator; what a server has of itself is not made once more."""

        async def fitting(store):
            return await work(_Fitting(store))

        return super().store(fitting)

    def prepare(self, name, pool, vxlan):
        """See `RealNode`. A kubelet has registered the node."""
        self.kube.api.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}])
        super().prepare(name, pool, vxlan)

    def change(self, name, path="", **body):
        """Merge a patch into a Pod, as those do who may: its owner, or with /status its kubelet."""
        where = f"/api/v1/namespaces/default/pods/{name}{path}"
        merge = "application/merge-patch+json"
        return self.kube.api.request("PATCH", where, body, content=merge)

    def remove(self, name):
        """The end of a Pod, as its kubelet tells it."""
        where = f"/api/v1/namespaces/default/pods/{name}"
        self.kube.api.request("DELETE", where, {"gracePeriodSeconds": 0})


@contextmanager
def kube_node(folder, kube, **options):
    """A node whose agent is not started yet, with its way to the server, until the block ends."""
    rights = [
        body
        for role in (NODE, PLUGIN)
        for named in [role._replace(name=f"{_ACCOUNT}-{role.name}", account=_ACCOUNT)]
        for body in (cluster_role(named, "crd.projectcalico.org"), binding(named))
    ]
    kube.api.apply(rights)
    node = None
    try:
        node = KubeNode(folder, kube, **options)
        port = kube.endpoint.rpartition(":")[2]
        relay = [sys.executable, "-m", "tortie.lab.relay", f"127.0.0.1/{port}", node.netns]
        with running(relay, folder / "relay.log", lambda: True):
            yield node
    finally:
        if node is not None:
            node.close()
        for body in reversed(rights):
            kube.api.delete(body)


class _Fitting:
    """A store to which Pods go as an API server takes them."""

    def __init__(self, store):
        self.inner = store

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def create(self, resource):
        if isinstance(resource, Namespace) and resource.metadata.name == "default":
            return await self.inner.get(resource.key)
        if isinstance(resource, Pod) and not resource.spec.containers:
            containers = (Container(name="c", image="i"),)
            resource = replace(resource, spec=replace(resource.spec, containers=containers))
        return await self.inner.create(resource)
