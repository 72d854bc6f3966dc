"""People at the command line, with `tortie` or kubectl. Nobody is bound to these roles here."""

from tortie.api.crds import CUSTOM_KINDS
from tortie.install.rights.alike import policies, slices
from tortie.install.rights.roles import READ, Role, calico, core, of_group

_WHY = """\
People at the command line, with `tortie` or kubectl. Nobody is bound to these roles here:
  kubectl create clusterrolebinding alice-calico --clusterrole=calico-viewer --user=alice"""
_KINDS = tuple(sorted(CUSTOM_KINDS, key=str.lower))
_SHOWN = (
    core(
        "What `tortie get` shows as Calico's: nodes, workload endpoints (pods), profiles"
        " (namespaces and service accounts), and Kubernetes' policies.",
        READ,
        *("namespaces", "nodes", "pods", "serviceaccounts", "services"),
    ),
    slices(READ),
    *policies("", READ),
    of_group(
        "What nodes say of themselves, for `tortie status`.",
        ("list",),
        "coordination.k8s.io",
        "leases",
    ),
)
_WITH_STATUS = tuple(f"{kind}/status" for kind in _KINDS)

VIEWER = Role(
    "calico-viewer",
    _WHY,
    (
        calico(
            "Calico's kinds, all of them. Passwords are not among them: they are in Secrets.",
            READ,
            *_KINDS,
        ),
        *_SHOWN,
    ),
)
ADMIN = Role(
    "calico-admin",
    "",
    (
        calico(
            "`tortie` writes objects whole (update), kubectl by patches.",
            (*READ, "create", "update", "patch", "delete"),
            *_KINDS,
        ),
        calico(
            "For `tortie datastore migrate`, which brings the status along.",
            ("update",),
            *_WITH_STATUS,
        ),
        core("A Node of Calico's is annotations of Kubernetes' Node.", ("patch",), "nodes/status"),
        *_SHOWN,
    ),
)
