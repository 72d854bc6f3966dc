"""Namespaces and service accounts of Kubernetes as Profiles."""

from tortie.api import Key, Resource
from tortie.controllers.mirror import Mirror, Mirrored, controller_of
from tortie.kubernetes import conversion, namespace_profile, service_account_profile

_NAMESPACE, _ACCOUNT = namespace_profile(""), "ksa."


def mirrored(source: Resource) -> Mirrored:
    """The Profile that stands for a namespace or an account."""
    found = conversion(source)
    return Mirrored(found.value, found.warnings)


def profile_of(source: Key) -> Key:
    """Where it is kept."""
    if source.kind == "Namespace":
        return Key("Profile", "", namespace_profile(source.name))
    return Key("Profile", "", service_account_profile(source.namespace, source.name))


def namespace_of(profile: Key) -> Key | None:
    """The namespace that a Profile stands for; None for one that stands for none."""
    name = profile.name.removeprefix(_NAMESPACE)
    return Key("Namespace", "", name) if name and name != profile.name else None


def account_of(profile: Key) -> Key | None:
    """The account that a Profile stands for; None for one that stands for none.

    A namespace has no dot in its name, an account may have.
    """
    if not profile.name.startswith(_ACCOUNT):
        return None
    namespace, _, name = profile.name.removeprefix(_ACCOUNT).partition(".")
    return Key("ServiceAccount", namespace, name) if namespace and name else None


NAMESPACES = controller_of(
    Mirror(
        name="namespaces of Kubernetes",
        switch="namespace",
        sources=("Namespace",),
        targets=("Profile",),
        mirrored=mirrored,
        target_of=profile_of,
        source_of=namespace_of,
    )
)

ACCOUNTS = controller_of(
    Mirror(
        name="service accounts of Kubernetes",
        switch="serviceaccount",
        sources=("ServiceAccount",),
        targets=("Profile",),
        mirrored=mirrored,
        target_of=profile_of,
        source_of=account_of,
    )
)
