"""Importing the package stays cheap, for the command line's sake."""

import subprocess
import sys


def test_importing_loads_no_heavy_module() -> None:
    loads = "import sys, tortie.net; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    heavy = {"socket", "ipaddress", "asyncio", "dataclasses", "logging", "msgspec", "pyroaring"}
    assert heavy.isdisjoint(done.stdout.split())
