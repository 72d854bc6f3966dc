"""Writes what is derived in manifests/: definitions, and the rights for the group of storage.

`make manifests` runs it; a test holds that what is there is what it writes. Rights are written by
hand for projectcalico.org alone, so that nobody changes them for one group and not for the other.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tortie.api.crds import GROUPS, NATIVE, STORED, definitions
from tortie.api.writing import yaml_text

ROOT = Path(__file__).parents[1] / "manifests"
RIGHTS = (
    "calico-node.yaml",
    "calico-cni-plugin.yaml",
    "calico-kube-controllers.yaml",
    "calico-typha.yaml",
    "users.yaml",
)

_STATUS = re.compile(
    r"(?: *#[^\n]*\n)*  - apiGroups: \[projectcalico\.org\]\n    resources:\n"
    r"(?:      - \w+/status\n)+    verbs: \[update\]\n"
)


def derived() -> Iterator[tuple[Path, str]]:
    """Every derived file with its text."""
    for group in GROUPS:
        yield ROOT / group / "crds.yaml", _definitions(group)
    for name in RIGHTS:
        yield ROOT / STORED / name, _stored_rights((ROOT / NATIVE / name).read_text())


def _definitions(group: str) -> str:
    """What `tortie crds` prints, after a line that says so."""
    head = f"# Made by `tortie crds --group {group}`: `make manifests`, not by hand.\n"
    return head + "".join(f"---\n{yaml_text(each)}" for each in definitions(group))


def _stored_rights(native: str) -> str:
    """The same rights for the group of storage, whose kinds have no status of their own."""
    text = _STATUS.sub("", native)
    text = re.sub(r"(?<![\w.])projectcalico\.org(?=\])", STORED, text)
    text = text.replace("ipamconfigurations", "ipamconfigs")
    return f"# Made of manifests/{NATIVE} by `make manifests`, not by hand.\n{text}"


def main() -> int:
    """Write all that differs."""
    for path, text in derived():
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"manifests: wrote {path.relative_to(ROOT.parent)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
