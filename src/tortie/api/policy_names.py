"""The two names of one policy of the tier "default".

Versions before 3.32 stored each policy as "<tier>.<name>". For other tiers people had to write that
name themselves, so it is the policy's name for good. For the tier "default" they wrote "web" or
"default.web" and meant one policy, stored as "default.web"; now it is stored as it is written. So
in this tier, and in no other, both names mean whichever of the two is stored. Where both are
stored, somebody gave both on purpose, and each means itself: nothing is ever renamed.
"""

from collections.abc import Iterable

from tortie.api.meta import Key, Resource

_KINDS = frozenset(
    {"NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy"}
)
_TIER = "default"
_PREFIX = f"{_TIER}."


def other_key(key: Key) -> Key | None:
    """The key under which the same policy may be stored if not under this; None: there is none."""
    if key.kind not in _KINDS or not key.name:
        return None
    bare = key.name.removeprefix(_PREFIX)
    if "." in bare or not bare:
        return None  # the name of another tier's policy
    return key._replace(name=bare if bare != key.name else _PREFIX + bare)


def has_two_names(policy: Resource) -> bool:
    """Whether the policy is of the kinds and the tier to which `other_key` applies."""
    spec = getattr(policy, "spec", None)
    return policy.kind in _KINDS and getattr(spec, "tier", None) in ("", _TIER)


def is_same(stored: Resource, given: Resource) -> bool:
    """Whether what was found by the key of `given`, maybe under the other name, is that object."""
    return stored.key == given.key or (has_two_names(stored) and has_two_names(given))


def names_in_use(names: Iterable[str], resources: Iterable[Resource]) -> tuple[str, ...]:
    """The names under which `resources`, all of a kind, have what was asked for by `names`.

    A name that none of them has stays as it is.
    """
    keys = {resource.key: resource for resource in resources}
    there = {key.name for key in keys}
    others = {
        other.name: key.name
        for key, resource in keys.items()
        if has_two_names(resource) and (other := other_key(key)) is not None
    }
    return tuple(name if name in there else others.get(name, name) for name in names)
