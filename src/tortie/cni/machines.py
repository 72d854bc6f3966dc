"""Pods that run virtual machines: their addresses are the machine's, and outlive them.

Where `kubeVirtVMAddressPersistence` is Enabled. ADD takes the machine's addresses over, or assigns
them the first time; DEL leaves them to the machine, and to the pod that it moves to.
"""

from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from tortie.api import IPAMConfiguration, Key, Pod
from tortie.cni.request import CniRequest
from tortie.datastore import Datastore, NotFound
from tortie.ipam import IPAM, AssignRequest, FixedRequest
from tortie.ipam.machines import handle_of, is_moved_to, machine_of
from tortie.ipam.moving import begin, end
from tortie.ipam.names import CONFIGURATION
from tortie.net import Prefix

_PODS = "virt-launcher-"  # what KubeVirt calls them all: of others nothing is read


class Machines:
    """The virtual machines of one datastore. Raises IpamError, DatastoreError."""

    def __init__(self, ipam: IPAM, store: Datastore) -> None:
        self._ipam = ipam
        self._store = store

    async def handle(self, request: CniRequest, pod: Pod | None) -> str:
        """The handle of the machine that a pod runs; "" where it runs none, or keeps nothing."""
        if pod is None or not pod.metadata.name.startswith(_PODS):
            return ""
        machine = machine_of(pod)
        if machine is None or not await self._persist():
            return ""
        return handle_of(request.config.name, machine)

    async def handle_now(self, request: CniRequest) -> str:
        """The same for the pod that the runtime names, if it still is there."""
        name = request.arguments.get("K8S_POD_NAME", "")
        if not name.startswith(_PODS):
            return ""
        key = Key("Pod", request.arguments.get("K8S_POD_NAMESPACE", ""), name)
        try:
            return await self.handle(request, cast(Pod, await self._store.get(key)))
        except NotFound:
            return ""

    async def begin(
        self, handle: str, wanted: AssignRequest, fixed: Sequence[Prefix], pod: Pod
    ) -> tuple[Prefix, ...]:
        """The machine's addresses, for this pod; the `fixed` ones where it has none yet."""
        if fixed and not await self._ipam.addresses_of(handle):
            for address in fixed:
                await self._ipam.assign_fixed(
                    FixedRequest(
                        address=address,
                        node=wanted.node,
                        handle=handle,
                        attributes=wanted.attributes,
                        most=1,
                    )
                )
        request = replace(wanted, handle=handle)
        if fixed:  # these, and no others
            versions = {address.version for address in fixed}
            request = replace(request, count4=int(4 in versions), count6=int(6 in versions))
        return await begin(self._ipam, request, is_moved_to(pod))

    async def end(self, handle: str, request: CniRequest) -> None:
        """The pod has them no more."""
        owner = {
            "namespace": request.arguments.get("K8S_POD_NAMESPACE", ""),
            "pod": request.arguments.get("K8S_POD_NAME", ""),
        }
        await end(self._ipam, handle, owner)

    async def _persist(self) -> bool:
        try:
            found = await self._store.get(CONFIGURATION)
        except NotFound:
            return False
        assert isinstance(found, IPAMConfiguration)
        return found.spec.kube_virt_vm_address_persistence == "Enabled"
