"""A place of its own for container runtimes: folders of the machine's that are private to it.

Runtimes keep things in /run, /var/lib, /dev/shm; plugins are in /opt/cni/bin and /etc/cni/net.d.
Here these are other folders, in a mount namespace that only this place's processes are in. Whatever
was started in it has its folder among its mounts, containers too: so all of it is found and ended.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

NET_D = Path("/etc/cni/net.d")
REFERENCE_PLUGINS = Path("/usr/lib/cni")
NETWORKS = Path("/run/netns")
# What is mounted here is mounted nowhere else, but for network namespaces: agents have to see them.
_ALONE = f"""
for target in $(findmnt --noheadings --raw --output TARGET | grep -v '^{NETWORKS}'); do
    mount --make-private "$target"
done"""
_BOUND = 60.0


def lacking(*programs: str) -> str:
    """Why runtimes can't be tried here, in one line; empty where they can."""
    wanted = (*programs, "busybox", "unshare", "nsenter", "findmnt")
    missing = [one for one in wanted if shutil.which(one) is None]
    if missing:
        return f"there is no {', '.join(missing)} here: `tools/setup.sh` installs it"
    if not (REFERENCE_PLUGINS / "portmap").exists():
        return "there are no reference plugins here: `tools/setup.sh` installs them"
    if not NET_D.is_dir():
        return f"there is no {NET_D} to put another folder over"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "x", "/opt"],
        capture_output=True,
        text=True,
        timeout=_BOUND,
    )
    return f"mounting is not allowed here ({done.stderr.strip()})" if done.returncode else ""


class Place:
    """Folders under `folder`, which has to be of this place alone; commands run in `netns`.

    `plugins` is seen as /opt/cni/bin, and gets the reference plugins beside what is there.
    `configurations` is seen as /etc/cni/net.d.
    """

    def __init__(self, folder: Path, netns: str, plugins: Path) -> None:
        self.folder, self.netns, self.plugins = folder, netns, plugins
        self.configurations = folder / "net.d"
        for one in (self.configurations, folder / "shm", folder / "lib", folder / "run/netns"):
            one.mkdir(parents=True)
        for plugin in REFERENCE_PLUGINS.iterdir():
            (plugins / plugin.name).symlink_to(plugin)
        # It ends when its input does, which is when this process ends.
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", self._mounts()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n", "the place's folders can't be mounted"

    def _mounts(self) -> str:
        bound = {
            self.configurations: NET_D,
            self.folder / "shm": "/dev/shm",
            self.folder / "lib": "/var/lib",
            self.folder / "run": "/run",
        }
        lines = [_ALONE, f"mount --rbind {NETWORKS} {shlex.quote(str(self.folder / 'run/netns'))}"]
        lines += [f"mount --rbind {shlex.quote(str(a))} {b}" for a, b in bound.items()]
        plugins = shlex.quote(str(self.plugins))
        lines += ["mount -t tmpfs none /opt", "mkdir -p /opt/cni/bin"]
        lines += [f"mount --bind {plugins} /opt/cni/bin", "echo ready", "exec cat"]
        return "\n".join(lines)

    def command(self, *words: str) -> list[str]:
        """A command line that runs in this place."""
        inside = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--net={self.netns}"]
        return [*inside, f"--wd={self.folder}", *words]

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, bound: float = _BOUND
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with what it said."""
        environ = {**os.environ, **(env or {})}
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=bound, env=environ
        )

    def processes(self) -> list[int]:
        """Every process of this place, those in containers too."""
        return [
            pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if self._has(pid)
        ]

    def _has(self, pid: int) -> bool:
        with suppress(OSError):
            return f"{self.folder}/" in Path(f"/proc/{pid}/mountinfo").read_text()
        return False

    def close(self) -> None:
        """End all of its processes; the mounts go with the last of them."""
        deadline = time.monotonic() + _BOUND
        while found := self.processes():
            assert time.monotonic() < deadline, f"these do not end: {found}"
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._holder.wait()
            time.sleep(0.02)
        for pipe in (self._holder.stdin, self._holder.stdout):
            assert pipe is not None
            pipe.close()


def remove_cgroups(name: str) -> None:
    """Remove the control groups `name` and those below it, of which no process is left."""
    for folder in _cgroups(name):
        with suppress(OSError):  # one that still has a process is not ours to judge
            folder.rmdir()


def _cgroups(name: str) -> Iterator[Path]:
    for top in Path("/sys/fs/cgroup").glob(f"*/{name}"):
        for below, _, _ in os.walk(top, topdown=False):
            yield Path(below)
