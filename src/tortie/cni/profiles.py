"""The profile of a network whose containers no orchestrator gave a place."""

from tortie.api import EntityRule, ObjectMeta, Profile, ProfileSpec, Rule
from tortie.cni.errors import INVALID_CONFIG, CniError
from tortie.cni.request import CniRequest
from tortie.cni.workload import Workload
from tortie.datastore import AlreadyExists, Datastore, NotFound

_RESERVED = ("kns.", "ksa.", "knp.", "projectcalico-default-allow")  # they stand for other things


async def ensure_profile(store: Datastore, request: CniRequest, workload: Workload) -> None:
    """See that a network's containers have its profile: they reach each other, and go out.

    As with Calico, only where `policy.type` is not set, only for containers that are no pods, and
    never over a profile that is there. Raises CniError, DatastoreError.
    """
    name = request.config.name
    if workload.is_pod or request.config.policy.type:
        return
    if name.startswith(_RESERVED):
        raise CniError(INVALID_CONFIG, f"a network can't be called {name!r}: name it otherwise")
    profile = _profile(name)
    try:
        await store.get(profile.key)
    except NotFound:
        try:
            await store.create(profile)
        except AlreadyExists:  # by another container of the network, just now
            return


def _profile(network: str) -> Profile:
    """Who has the profile has its label, and it lets in who has the label."""
    fellow = EntityRule(selector=f"has({network})")
    return Profile(
        metadata=ObjectMeta(name=network),
        spec=ProfileSpec(
            ingress=(Rule(action="Allow", source=fellow),),
            egress=(Rule(action="Allow"),),
            labels_to_apply={network: ""},
        ),
    )
