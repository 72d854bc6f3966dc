"""Writes manifests/: `make manifests` runs it; a test holds that it is up to date."""

import sys
from pathlib import Path

from tortie.install.manifests.files import files

ROOT = Path(__file__).parents[1] / "manifests"


def derived() -> dict[Path, str]:
    """Every file with its text."""
    return {ROOT / path: text for path, text in files()}


def main() -> int:
    """Write all that differs; remove what is no longer made."""
    wanted = derived()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"manifests: wrote {path.relative_to(ROOT.parent)}", file=sys.stderr)
    for path in set(ROOT.rglob("*.yaml")) - wanted.keys():
        path.unlink()
        print(f"manifests: removed {path.relative_to(ROOT.parent)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
