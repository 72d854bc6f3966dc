"""A containerd of a test's own, with `ctr`; its root, state, socket and namespace are its own."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.busybox_image import NAME, save_image
from servers.place import Place, lacking, remove_cgroups
from servers.process import start, stop, wait_ready

_numbers = itertools.count()
_BOUND = 120.0


class Containerd:
    """One that runs. Its containers' images: a busybox, `servers.busybox_image.NAME`."""

    def __init__(self, place: Place, namespace: str) -> None:
        self.place, self.namespace = place, namespace
        self.socket = place.folder / "containerd.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it until it answers; again after `kill`, with what it had."""
        log = self.place.folder / "containerd.log"
        config = str(self.place.folder / "containerd.toml")
        self._process = start(self.place.command("containerd", "--config", config), log)
        wait_ready(self._process, log, lambda: self.ctr("version").returncode == 0, _BOUND)

    def kill(self) -> None:
        """End it as a crash does; containers go on."""
        if self._process is not None:
            stop(self._process)

    def command(self, *words: str) -> list[str]:
        """The command line of `ctr WORDS`."""
        own = ("--address", str(self.socket), "--namespace", self.namespace)
        return self.place.command("ctr", *own, *words)

    def ctr(self, *words: str, bound: float = _BOUND) -> subprocess.CompletedProcess[str]:
        """Run `ctr WORDS` to its end."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=bound,
            stdin=subprocess.DEVNULL,
        )

    def run_command(self, name: str, *words: str) -> list[str]:
        """The command line that runs a container in the foreground: ADD before it, DEL after it."""
        options = ("run", "--rm", "--cni", "--snapshotter", "native")
        return self.command(*options, NAME, name, *words)

    def id_of(self, name: str) -> str:
        """What the plugin is told to be the container's id."""
        return f"{self.namespace}-{name}"


def lacking_containerd() -> str:
    """Why there can be none here, in one line; empty where there can."""
    return lacking("containerd", "ctr", "runc")


@contextmanager
def containerd(folder: Path, netns: str, plugins: Path) -> Iterator[Containerd]:
    """A containerd whose containers get the configuration in `place.configurations`.

    `folder` does not exist yet; `plugins` is its /opt/cni/bin.
    """
    place = Place(folder, netns, plugins)
    namespace = f"tortie-{os.getpid()}-{next(_numbers)}"
    found = Containerd(place, namespace)
    try:
        _configure(place.folder)
        found.start()
        image = save_image(folder / "image.tar")
        loaded = found.ctr("images", "import", "--snapshotter", "native", str(image))
        assert loaded.returncode == 0, loaded.stderr
        yield found
    finally:
        found.kill()
        place.close()
        remove_cgroups(namespace)


def _configure(folder: Path) -> None:
    (folder / "containerd.toml").write_text(
        "version = 2\n"
        f'root = "{folder}/root"\n'
        f'state = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        "[grpc]\n"
        f'address = "{folder}/containerd.sock"\n'
    )
