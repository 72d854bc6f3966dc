"""podman with everything of its own: images, containers, locks, networks by CNI."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.busybox_image import save_image
from servers.place import NETWORKS, Place, lacking, remove_cgroups
from tortie.linux.namespaces import delete_named

_numbers = itertools.count()
_BOUND = 120.0


class Podman:
    """Commands of podman in a place of its own."""

    def __init__(self, place: Place, default_network: str) -> None:
        self.place = place
        self.group = f"tortie-podman-{os.getpid()}-{next(_numbers)}"
        folder = place.folder
        (folder / "containers.conf").write_text(_containers(place, default_network))
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
        )
        self._environ = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `podman WORDS` to its end."""
        return self.place.run("podman", *words, env=self._environ, bound=_BOUND)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `podman run WORDS` to its end."""
        return self("run", f"--cgroup-parent=/{self.group}", *words)

    def networks(self) -> list[str]:
        """The names of its containers' network namespaces."""
        containers = self("ps", "--all", "--quiet").stdout.split()
        said = self("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", *containers).stdout
        return [Path(line).name for line in said.split() if line.startswith(str(NETWORKS))]


def lacking_podman() -> str:
    """Why there can be none here, in one line; empty where there can."""
    return lacking("podman", "runc", "conmon")


@contextmanager
def podman(folder: Path, netns: str, plugins: Path, default_network: str) -> Iterator[Podman]:
    """A podman with the networks in `place.configurations`; its containers end with it."""
    place = Place(folder, netns, plugins)
    try:
        found = Podman(place, default_network)
        loaded = found("load", "--quiet", "--input", str(save_image(folder / "image.tar")))
        assert loaded.returncode == 0, loaded.stderr
        try:
            yield found
        finally:
            networks = found.networks()
            found("rm", "--all", "--force", "--time", "0")
            remove_cgroups(found.group)
            for name in networks:  # of a podman that could not end its containers
                delete_named(name)
    finally:
        place.close()


def _containers(place: Place, default_network: str) -> str:
    """The limits are ones that any machine can give."""
    folder = place.folder
    return f"""[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["{place.plugins}"]
network_config_dir = "{place.configurations}"
default_network = "{default_network}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
static_dir = "{folder}/libpod"
tmp_dir = "{folder}/tmp"
"""
