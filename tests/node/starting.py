"""`tortie node …` as processes, on this machine's own network or in a namespace of the test's."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tortie.api import Key, Resource
from tortie.datastore import open_datastore
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_prefix

_NO_DAD = 0x02  # used at once: the kernel would first ask whether another one has it

BOUND = 120.0  # seconds


class Starting:
    """One node's commands, with their files under `folder`; `netns` is a path."""

    def __init__(self, folder: Path, datastore: str, settings: Any = None, netns: str = "") -> None:
        self.folder = folder
        self.datastore = datastore
        self.netns = netns
        self._settings = settings or datastore
        self.environ = {
            "NODENAME": "n1",
            "CALICO_NODENAME_FILE": str(folder / "calico" / "nodename"),
            "CALICO_SHUTDOWN_TIMESTAMP_FILE": str(folder / "calico" / "shutdownTS"),
        }

    @property
    def nodename(self) -> str:
        return Path(self.environ["CALICO_NODENAME_FILE"]).read_text()

    @property
    def shutdown(self) -> Path:
        return Path(self.environ["CALICO_SHUTDOWN_TIMESTAMP_FILE"])

    def command(self, *words: str) -> list[str]:
        within = ["nsenter", f"--net={self.netns}"] if self.netns else []
        return [*within, sys.executable, "-m", "tortie.cli", "node", *words]

    def popen(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        where = ["--datastore", self.datastore]
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PATH", "HOME", "LANG", "PYTHON"))
        }
        return subprocess.Popen(
            self.command(*words, *where),
            env={**kept, **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.popen(*words, **environ)
        out, err = process.communicate(timeout=BOUND)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, **environ: str) -> str:
        """A start that must succeed; what it said."""
        done = self.run("start", **environ)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def get(self, kind: str, name: str) -> Any:
        async def work() -> Resource:
            store = await open_datastore(self._settings)
            try:
                return await store.get(Key(kind, "", name))
            finally:
                await store.close()

        return asyncio.run(work())

    def put(self, *resources: Resource) -> None:
        async def work() -> None:
            store = await open_datastore(self._settings)
            try:
                for one in resources:
                    await store.create(one)
            finally:
                await store.close()

        asyncio.run(work())

    def revision(self) -> int:
        async def work() -> int:
            store = await open_datastore(self._settings)
            try:
                return await store.revision()
            finally:
                await store.close()

        return asyncio.run(work())

    def names(self, kind: str) -> set[str]:
        async def work() -> set[str]:
            store = await open_datastore(self._settings)
            try:
                return {one.metadata.name for one in (await store.list(kind)).resources}
            finally:
                await store.close()

        return asyncio.run(work())


def uplink(netns: str, *addresses: str) -> None:
    """An interface eth0 that is up, with these addresses."""
    with in_namespace(netns), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth("eth0", "underlay")
        for name in ("lo", "eth0", "underlay"):
            links.set_up(name)
        for address in addresses:
            links.add_address("eth0", parse_prefix(address), flags=_NO_DAD)
