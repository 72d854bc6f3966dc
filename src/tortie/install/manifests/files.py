"""The files under manifests/, kept under version control: whole installations, and pieces."""

from collections.abc import Iterator, Mapping

from tortie.api.crds import GROUPS, definitions
from tortie.api.writing import yaml_text
from tortie.install.manifests.choices import Choices, Encap, Kept, Networking
from tortie.install.manifests.text import text
from tortie.install.rights import ADMIN, CONTROLLERS, NODE, PLUGIN, TYPHA, VIEWER
from tortie.install.rights.text import role_text

_MADE = "Made by `make manifests`, not by hand"


_ETCD = ("http://ETCD-HOST:2379",)
WHOLE_INSTALLATIONS: Mapping[str, Choices] = {
    "calico.yaml": Choices(),
    "calico-vxlan.yaml": Choices(encap=Encap.VXLAN),
    "calico-bgp.yaml": Choices(encap=Encap.BGP),
    "calico-wireguard.yaml": Choices(encap=Encap.WIREGUARD),
    "calico-typha.yaml": Choices(typha=3),
    "calico-etcd.yaml": Choices(kept=Kept.ETCD, etcd_endpoints=_ETCD),
    "calico-policy-only.yaml": Choices(networking=Networking.POLICY_ONLY, typha=1),
    "canal.yaml": Choices(networking=Networking.FLANNEL),
}
"""Calico's names of files, each for what most people want of it."""


def files() -> Iterator[tuple[str, str]]:
    """Each file: its path below manifests/, and its text."""
    for name, made in WHOLE_INSTALLATIONS.items():
        yield name, f"# {_MADE}.\n{text(made)}"
    for group in GROUPS:
        yield f"{group}/crds.yaml", _definitions(group)
        for name, rights in _rights(group).items():
            yield (
                f"{group}/{name}",
                f"# {_MADE}: the rights are in tortie.install.rights.\n{rights}",
            )


def _definitions(group: str) -> str:
    """What `tortie crds` prints, after a line that says so."""
    head = f"# {_MADE}: what `tortie crds --group {group}` prints.\n"
    return head + "".join(f"---\n{yaml_text(each)}" for each in definitions(group))


def _rights(group: str) -> dict[str, str]:
    people = [role_text(role, group) for role in (VIEWER, ADMIN)]
    return {
        "calico-node.yaml": role_text(NODE, group),
        "calico-cni-plugin.yaml": role_text(PLUGIN, group, with_account=False),
        "calico-kube-controllers.yaml": role_text(CONTROLLERS, group),
        "calico-typha.yaml": role_text(TYPHA, group),
        "users.yaml": "---\n".join(people),
    }
