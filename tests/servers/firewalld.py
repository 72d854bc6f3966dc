"""A real firewalld of a network namespace's own, with a message bus of its own.

It is Debian's, unpacked by `tools/setup.sh firewalld` (installed it would guard the machine).
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2] / "build" / "firewalld"
_PYTHON = "/usr/bin/python3"  # Debian's: its packages of D-Bus and GLib are there
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={}</listen>
  <policy context="default">
    <allow own="*"/><allow send_type="*"/><allow receive_type="*"/>
    <allow send_destination="*"/><allow user="*"/>
  </policy>
</busconfig>
"""
_PATIENCE = 60.0


def why_not() -> str:
    """Why there is none; "" if there is one."""
    if not (ROOT / "usr/sbin/firewalld").exists():
        return "no firewalld here: run tools/setup.sh firewalld"
    return "" if shutil.which("dbus-daemon") else "no dbus-daemon here: install dbus-daemon"


class Firewalld:
    """firewalld in a namespace. `backend` is "nftables" or "iptables"."""

    def __init__(self, folder: Path, netns: str, backend: str) -> None:
        self._folder, self._netns = folder, netns
        folder.mkdir()
        self._socket = folder / "bus"
        (folder / "bus.conf").write_text(_BUS.format(self._socket))
        self._settings = folder / "settings"
        shutil.copytree(ROOT / "etc/firewalld", self._settings)
        file = self._settings / "firewalld.conf"
        lines = [one for one in file.read_text().splitlines() if "FirewallBackend=" not in one]
        file.write_text("\n".join([*lines, f"FirewallBackend={backend}", ""]))
        self._log = (folder / "log").open("wb")
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile"],
            stderr=self._log,
        )
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        places = ["--system-config", self._settings, "--default-config", ROOT / "usr/lib/firewalld"]
        program = [_PYTHON, ROOT / "usr/sbin/firewalld", "--nofork", "--nopid", *places]
        self._daemon = subprocess.Popen(
            ["nsenter", f"--net={self._netns}", *program, "--log-file", self._folder / "own-log"],
            env=self._environ(),
            stdout=self._log,
            stderr=self._log,
        )
        end = time.monotonic() + _PATIENCE
        while self._ask("--state").returncode:
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, if it runs; it takes its rules along."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(_PATIENCE)
            self._daemon = None

    def close(self) -> None:
        """End it and its bus."""
        self.stop()
        self._bus.terminate()
        self._bus.wait(_PATIENCE)
        self._log.close()

    def command(self, *arguments: str) -> str:
        """What firewall-cmd prints."""
        done = self._ask(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_PYTHON, ROOT / "usr/bin/firewall-cmd", *arguments],
            env=self._environ(),
            capture_output=True,
            text=True,
        )

    def _environ(self) -> dict[str, str]:
        packages = ROOT / "usr/lib/python3/dist-packages"
        bus = f"unix:path={self._socket}"
        return {**os.environ, "PYTHONPATH": str(packages), "DBUS_SYSTEM_BUS_ADDRESS": bus}
