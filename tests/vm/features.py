"""What the running kernel has, by the names of modules, without loading any.

On a user's machine nothing is loaded for a test: `modprobe ipip` would leave a device tunl0 in
the machine's own namespace. There a feature counts that is built in or loaded already.
"""

import functools
import os
import subprocess
from pathlib import Path

IN_GUEST = "TORTIE_IN_VM"  # how many seconds it has


def in_guest() -> bool:
    """Whether this process runs inside the small virtual machine."""
    return bool(os.environ.get(IN_GUEST))


def patience(seconds: float) -> float:
    """How long to wait for what takes `seconds` at most on a machine of its own.

    In the guest all the time that it has: whether it is too slow is judged from outside.
    """
    return float(os.environ.get(IN_GUEST) or seconds)


def missing(features: tuple[str, ...]) -> list[str]:
    """Those that are not here. In the guest all are loaded, or ModuleNotFoundError is raised."""
    if in_guest():
        _load(features)
        return []
    return [one for one in features if not _loaded(one) and one not in _built_in()]


@functools.cache
def _load(features: tuple[str, ...]) -> None:
    if features:
        done = subprocess.run(["modprobe", "-a", *features], capture_output=True, text=True)
        if done.returncode:
            raise ModuleNotFoundError(done.stderr.strip())


def _loaded(name: str) -> bool:
    return Path("/sys/module", name).is_dir()


@functools.cache
def _built_in() -> frozenset[str]:
    listed = Path("/lib/modules", os.uname().release, "modules.builtin")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    return frozenset(Path(one).stem.replace("-", "_") for one in lines)
