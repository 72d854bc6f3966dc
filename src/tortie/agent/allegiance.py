"""Which datastore a node's policy came from, kept beside its socket.

An empty store where the real one was reads as "all policy was deleted". So the first one that an
agent follows is written down in its run directory, and the next agent there follows no other.
"""

import asyncio
import os
from pathlib import Path

from tortie.agent.waiters import NotReady


class OtherDatastore(Exception):
    """This is not the datastore that the node's policy came from."""


class Allegiance:
    """A run directory's promise. `name` is what people call the datastore.

    Until `sworn` is set nothing may be written to the datastore: it may be another one.
    """

    def __init__(self, run_dir: str, name: str) -> None:
        self._run_dir = run_dir
        self._name = name
        self.sworn = asyncio.Event()

    def admit(self, identity: str) -> None:
        """Follow the datastore of this identity. Raises OtherDatastore, OSError."""
        pledge(self._run_dir, identity, self._name)
        self.sworn.set()

    def admit_stream(self, identity: str) -> None:
        """Follow a stream of that datastore, from somebody else: it is not admitted to be written.

        Raises OtherDatastore, OSError.
        """
        pledge(self._run_dir, identity, self._name)

    async def wait(self, within: float) -> None:
        """Return once the datastore is known. Raises NotReady after `within` seconds."""
        try:
            await asyncio.wait_for(self.sworn.wait(), within)
        except TimeoutError:
            raise NotReady(
                f"the datastore {self._name} could not be reached since the agent's start"
            ) from None


def pledge(run_dir: str, identity: str, name: str) -> None:
    """Follow the datastore of this identity from now on. `name` is what people call it.

    Raises OtherDatastore if an earlier agent of this directory followed another one.
    """
    path = Path(run_dir, "datastore")
    followed = _read(path)
    if followed is None:
        _write(path, identity)
    elif followed != identity:
        raise OtherDatastore(
            f"{name} is not the datastore that this node's policy came from, which stays in force:"
            f" put that one back, or remove {path} to follow the new one"
        )


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


def _write(path: Path, identity: str) -> None:
    """Whole or not at all: a half-written line would refuse the right store."""
    new = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(new, flags, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(identity + "\n")
    new.replace(path)
