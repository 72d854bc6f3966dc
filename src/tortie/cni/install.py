"""Putting the plugin's executable where a container runtime looks for it."""

import os
import sys
from pathlib import Path

_SHIM = Path(__file__).with_name("shim.py")


def install_plugin(directory: str | Path, name: str = "calico") -> Path:
    """Write the shim as `directory/name`, to be run by this interpreter. Returns its path.

    The file is complete before it gets its name, since a runtime may start it at any moment.
    -I and -S leave the environment's and the site's modules out: less to load, nothing to be led
    astray by. Raises OSError.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    target, staging = folder / name, folder / f".{name}.{os.getpid()}"
    staging.write_text(f"#!{_interpreter()} -IS\n{_SHIM.read_text()}")
    staging.chmod(0o755)
    staging.rename(target)
    return target


def _interpreter() -> str:
    """The interpreter itself: each link and virtual environment before it costs time."""
    return os.path.realpath(sys.executable)
