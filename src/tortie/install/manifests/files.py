"""The files of rights and definitions that are kept under version control."""

from collections.abc import Iterator

from tortie.api.crds import GROUPS, definitions
from tortie.api.writing import yaml_text
from tortie.install.rights import ADMIN, CONTROLLERS, NODE, PLUGIN, TYPHA, VIEWER
from tortie.install.rights.text import role_text

_MADE = "Made by `make manifests`, not by hand"


def files() -> Iterator[tuple[str, str]]:
    """Each piece that stands alone: its path below manifests/, and its text."""
    for group in GROUPS:
        yield f"{group}/crds.yaml", _definitions(group)
        for name, text in _rights(group).items():
            yield f"{group}/{name}", f"# {_MADE}: the rights are in tortie.install.rights.\n{text}"


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
