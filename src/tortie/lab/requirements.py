"""What a lab needs of the machine, checked before anything is made."""

import os
from pathlib import Path

from tortie.lab.errors import LabError


def check_requirements() -> None:
    """Raises LabError with one line that says what to do."""
    if os.geteuid() != 0:
        raise LabError("a lab needs root, to make network namespaces: run it with sudo")
    if not Path("/proc/self/ns/net").exists():
        raise LabError("this kernel has no network namespaces: build it with CONFIG_NET_NS")
    try:
        from tortie.linux.libnftables import Nftables

        Nftables()
    except OSError as error:
        raise LabError(
            f"the nftables library is missing ({error}): apt-get install libnftables1"
        ) from None
