"""What tiers and the policies in them demand of each other, as Calico's client has it."""

from collections.abc import Collection, Sequence

from tortie.api import Key
from tortie.api.manifests import Located, ManifestError
from tortie.cli.errors import UserError
from tortie.datastore import Datastore

_IN_TIERS = (
    *("GlobalNetworkPolicy", "NetworkPolicy"),
    *("StagedGlobalNetworkPolicy", "StagedNetworkPolicy"),
)


async def tierless(store: Datastore, given: Sequence[Located]) -> list[ManifestError]:
    """An error for each policy of a tier that neither is stored nor comes with it.

    Such a policy would be asked after all others, which nobody means.
    """
    from tortie.api.calico.tier import FIXED

    asking = [(one, _tier_of(one.resource)) for one in given if one.resource.kind in _IN_TIERS]
    if not {tier for _, tier in asking} - FIXED.keys():
        return []
    listing = await store.list("Tier")
    there = {item.key.name for item in listing.resources}
    there |= {item.key.name for item in listing.malformed} | FIXED.keys()
    there |= {one.resource.key.name for one in given if one.resource.kind == "Tier"}
    return [_missing(one, tier, there) for one, tier in asking if tier not in there]


def _missing(located: Located, tier: str, there: Collection[str]) -> ManifestError:
    from tortie.api.problems import nearest

    hint = nearest(tier, there) or f"create the tier first; there are {', '.join(sorted(there))}"
    return located.place.error("spec.tier", f'there is no tier "{tier}"', hint)


async def check_removable(store: Datastore, key: Key, going: Collection[Key] = ()) -> None:
    """Raise UserError for a tier that is always there, or that policies not `going` are in."""
    if key.kind != "Tier":
        return
    from tortie.api.calico.tier import FIXED

    if key.name in FIXED:
        raise UserError(f"the tier {key.name} is always there: it can't be deleted")
    held = [
        resource.key
        for kind in _IN_TIERS
        for resource in (await store.list(kind)).resources
        if _tier_of(resource) == key.name and resource.key not in going
    ]
    if held:
        policies = f"{len(held)} policies, such as {held[0]}" if held[1:] else f"{held[0]}"
        raise UserError(f"the tier {key.name} still holds {policies}: delete what it holds first")


def _tier_of(policy: object) -> str:
    return getattr(getattr(policy, "spec", None), "tier", "") or "default"
