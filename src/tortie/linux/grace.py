"""Waiting until no packet is on its way through what was just taken out of force.

The kernel takes rules out of force at once, for packets that come; one that is already among them
goes on with the old ones. After a grace period there is none.
"""

import ctypes
import platform
import time

_MEMBARRIER = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365, "s390x": 356}
_GLOBAL = 1  # MEMBARRIER_CMD_GLOBAL: the kernel waits for a grace period of RCU
_INSTEAD = 0.05  # seconds: packets are through in microseconds


def grace_period() -> None:
    """Return once every packet that was among rules when this was called has left them."""
    number = _MEMBARRIER.get(platform.machine())
    if number is None or ctypes.CDLL(None).syscall(number, _GLOBAL, 0, 0):
        time.sleep(_INSTEAD)  # a kernel or a sandbox without that call
