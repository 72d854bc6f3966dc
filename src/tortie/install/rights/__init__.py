"""Who may do what in a cluster: one role each for the parts that talk to its API server. Pure.

A rule has its reason, which stands above it in the manifests. Kinds of Calico's are named as in
`tortie.api`; what they are called in either group follows from their definitions, so that the roles
of the two groups can't differ.
"""

from tortie.install.rights.controllers import CONTROLLERS
from tortie.install.rights.etcd import CONTROLLERS_ON_ETCD, NODE_ON_ETCD
from tortie.install.rights.node import NODE, NODE_OF_POLICY_ONLY, NODE_WITHOUT_BGP
from tortie.install.rights.people import ADMIN, VIEWER
from tortie.install.rights.plugin import PLUGIN
from tortie.install.rights.roles import NAMESPACE, Role, Rule
from tortie.install.rights.typha import TYPHA

__all__ = [
    "ADMIN",
    "CONTROLLERS",
    "CONTROLLERS_ON_ETCD",
    "NAMESPACE",
    "NODE",
    "NODE_OF_POLICY_ONLY",
    "NODE_ON_ETCD",
    "NODE_WITHOUT_BGP",
    "PLUGIN",
    "TYPHA",
    "VIEWER",
    "Role",
    "Rule",
]
