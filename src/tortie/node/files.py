"""Files by which a node tells its other programs of itself, replaced as a whole. Calico's names.

The nodename file says which node this is, for a CNI plugin whose configuration does not. The
shutdown file says when the node went down in order; a start that succeeded removes it.
"""

from datetime import UTC, datetime
from pathlib import Path


def write_nodename(path: Path, node: str) -> bool:
    """Write it, unless it says so already; whether it did. Raises OSError."""
    try:
        if path.read_text(encoding="utf-8") == node:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    _write(path, node)
    return True


def write_shutdown(path: Path, now: datetime | None = None) -> str:
    """Write the time as RFC 3339 has it, in UTC; the text. Raises OSError."""
    text = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _write(path, text)
    return text


def remove_shutdown(path: Path) -> None:
    """This node is up again. Raises OSError."""
    path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.new")
    staging.write_text(text, encoding="utf-8")
    staging.chmod(0o644)
    staging.replace(path)
