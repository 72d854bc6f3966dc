"""Where the commands of pages run: each in a folder of its own, with real servers behind it."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from docs.blocks import CHECKOUT
from servers.kube import KubeServer
from tortie.lab.cluster import take_down
from tortie.lab.journal import Journal, exclusive

BIN = Path(sys.executable).parent


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """A person's, with nothing of this process's own."""
    return {
        "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TORTIE_DATASTORE": str(folder / "tortie.db"),
        **more,
    }


@contextmanager
def lab(folder: Path) -> Iterator[dict[str, str]]:
    """A lab is up with the cluster of the examples."""
    name = f"docs{os.getpid()}"
    cluster = str(CHECKOUT / "examples" / "cluster.yaml")
    tortie = [str(BIN / "tortie"), "lab"]
    try:
        command = [*tortie, "up", "--name", name, "-f", cluster]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        store = f"sqlite:{Journal(name).path / 'store.db'}"
        _wait_for_reports([str(BIN / "tortie"), "status", "--datastore", store])
        yield environment(folder, {"TORTIE_LAB": name, "TORTIE_DATASTORE": store})
    finally:
        with exclusive(name, lambda: None):
            if Journal(name).path.exists():
                take_down(Journal(name))


def _wait_for_reports(status: list[str]) -> None:
    """Every agent has said that it is ready: what a person finds who is no machine."""
    for _ in range(300):
        ran = subprocess.run(status, capture_output=True, text=True, timeout=60)
        if ran.returncode == 0:
            return
        select.select([], [], [], 0.1)
    raise AssertionError(ran.stdout)


@contextmanager
def cluster(folder: Path, kube: KubeServer) -> Iterator[dict[str, str]]:
    """A Kubernetes API server with our kinds."""
    path = folder / "kubeconfig"
    path.write_text(kube.kubeconfig())
    path.chmod(0o600)
    more = {"KUBECONFIG": str(path), "DATASTORE_TYPE": "kubernetes"}
    made = environment(folder, more)
    del made["TORTIE_DATASTORE"]
    yield made
