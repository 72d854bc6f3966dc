"""All objects of an installation, in an order in which nothing misses what it refers to."""

from tortie.api.crds import WHOLE, Release, definitions
from tortie.install.manifests.choices import Choices, Kept, Networking
from tortie.install.manifests.config import config_map
from tortie.install.manifests.controllers import controllers
from tortie.install.manifests.fanout import fanout
from tortie.install.manifests.node import daemon_set
from tortie.install.manifests.objects import Object, labelled
from tortie.install.manifests.secrets import etcd_secret
from tortie.install.rights import (
    CONTROLLERS,
    CONTROLLERS_ON_ETCD,
    NODE,
    NODE_OF_POLICY_ONLY,
    NODE_ON_ETCD,
    NODE_WITHOUT_BGP,
    PLUGIN,
    TYPHA,
    Role,
)
from tortie.install.rights.roles import account, binding, cluster_role


def bundle(made: Choices, release: Release = WHOLE) -> list[Object]:
    """What `tortie install` tells Kubernetes: kinds, accounts and rights, settings, then pods.

    `release` is the API server's: definitions are fitted to it.
    """
    found = [*_kinds(made, release), *_rights(made), config_map(made), *etcd_secret(made)]
    found += [*fanout(made), daemon_set(made), *controllers(made)]
    return [labelled(each) for each in found]


def roles(made: Choices) -> list[Role]:
    """The roles of the parts that are there."""
    if made.kept is Kept.ETCD:
        return [NODE_ON_ETCD, CONTROLLERS_ON_ETCD]
    if made.networking is Networking.POLICY_ONLY:
        found = [NODE_OF_POLICY_ONLY]
    else:
        found = [NODE if made.bgp else NODE_WITHOUT_BGP, PLUGIN]
    return [*found, CONTROLLERS, *([TYPHA] if made.typha else [])]


def _kinds(made: Choices, release: Release) -> list[Object]:
    """None where etcd has the resources: the API server need not know them."""
    return definitions(made.group, release=release) if made.kept is Kept.KUBERNETES else []


def _rights(made: Choices) -> list[Object]:
    wanted = roles(made)
    names = [role.account for role in wanted]
    if PLUGIN in wanted:
        names.append(PLUGIN.name)  # whose token is in the plugin's kubeconfig; it may do nothing
    accounts = {name: account(name) for name in names}
    found = list(accounts.values())
    for role in wanted:
        found += [cluster_role(role, made.group), binding(role)]
    return found
