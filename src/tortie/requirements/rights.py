"""The capabilities of this process (linux/capability.h)."""

from collections.abc import Iterable
from pathlib import Path

_BITS = {
    "NET_ADMIN": 12,
    "NET_RAW": 13,
    "SYS_MODULE": 16,
    "SYS_ADMIN": 21,
    "PERFMON": 38,
    "BPF": 39,
}


AGENTS = ("NET_ADMIN", "NET_RAW", "SYS_ADMIN")
"""What an agent needs."""


def held() -> int:
    """Those in force, as the kernel's bits."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def lacking(bits: int, wanted: Iterable[str]) -> list[str]:
    """ "CAP_NET_ADMIN" and its like: of those wanted ("NET_ADMIN") what the bits don't have."""
    return [f"CAP_{name}" for name in wanted if not bits >> _BITS[name] & 1]
