"""eBPF by raw bpf() calls: types of maps and programs, helpers, hooks of interfaces.

From linux/bpf.h. Every object is a descriptor of this process; nothing is pinned, so that nothing
outlives it. Programs are the few instructions that the trial needs.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import RTM_SETLINK
from tortie.linux.netlink.rttc import RTM_NEWTFILTER
from tortie.linux.netlink.sockets import NetlinkSocket, Request
from tortie.linux.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    nested,
    string,
    u32,
)
from tortie.linux.shaping import Shaping
from tortie.requirements.trials.outcomes import attempt
from tortie.requirements.tried import Tried

_CALL = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351}
_MAP_CREATE, _PROG_LOAD = 0, 5
_CAPABILITY = "CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN,"
_NO_PREALLOC = 1
_SCHED_CLS, _XDP, _CGROUP_SOCK_ADDR = 3, 6, 18
_BTF = Path("/sys/kernel/btf/vmlinux")
_LINK = "trial0"
_HOOK_IN = 0xFFFFFFF2
_ETH_ALL = 0x0300  # in network order
_IFLA_XDP, _XDP_FD, _XDP_FLAGS, _GENERIC = 43, 1, 3, 2
_TCA_KIND, _TCA_OPTIONS, _BPF_FD, _BPF_NAME, _BPF_FLAGS, _DIRECT = 1, 2, 6, 7, 8, 1

# Types of maps: number, bytes of a key, of a value, entries, flags.
_MAPS: Mapping[str, tuple[int, int, int, int, int]] = {
    "hash": (1, 4, 8, 16, _NO_PREALLOC),
    "array": (2, 4, 8, 16, 0),
    "program array": (3, 4, 4, 16, 0),
    "per-CPU hash": (5, 4, 8, 16, 0),
    "per-CPU array": (6, 4, 8, 16, 0),
    "LRU hash": (9, 4, 8, 16, 0),
    "LPM trie": (11, 8, 8, 16, _NO_PREALLOC),
    "ring buffer": (27, 0, 0, 4096 * 16, 0),
}
# Where programs of addresses of sockets are attached: the type is asked for when they are loaded.
_ATTACHED: Mapping[str, int] = {"connect4": 10, "connect6": 11, "sendmsg4": 14, "recvmsg4": 19}
_HELPERS: Mapping[str, tuple[int, int]] = {
    # Number, and how many arguments beyond the context are given as zero; see _calling.
    "redirect": (23, 2),
    "redirect_neigh": (152, 4),
    "redirect_peer": (155, 2),
    "fib_lookup": (69, -1),
}
NAMES = (
    *(f"bpf:map:{name}" for name in _MAPS),
    *(f"bpf:program:{name}" for name in ("tc", "XDP", *_ATTACHED)),
    *(f"bpf:helper:{name}" for name in _HELPERS),
    *(f"bpf:{name}" for name in ("BTF", "tc hook", "XDP hook")),
)


def _call(command: int, attributes: bytes, what: str) -> int:
    """A descriptor of what was made. Raises OSError."""
    number = _CALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no bpf() is known for the processor {platform.machine()}")
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    made: int = libc.syscall(ctypes.c_long(number), command, buffer, 128)
    if made < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return made


def _map(name: str) -> int:
    kind, key, value, entries, flags = _MAPS[name]
    return _call(_MAP_CREATE, struct.pack("=5I", kind, key, value, entries, flags), name)


def _instruction(code: int, registers: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, registers, offset, value)


def _registers(destination: int, source: int = 0) -> int:
    low, high = (destination, source)
    if struct.pack("=H", 1) == b"\0\1":  # the two halves of the byte follow the byte order
        low, high = high, low
    return low | high << 4


def _move(register: int, value: int) -> bytes:
    return _instruction(0xB7, _registers(register), 0, value)


_EXIT = _instruction(0x95)


def _calling(helper: int, zeros: int) -> bytes:
    """A program that calls a helper; it is only loaded, so that the verifier looks at it."""
    if zeros < 0:  # fib_lookup(context, 64 bytes of the stack, 64, 0)
        clear = b"".join(
            _instruction(0x7A, _registers(10), -offset, 0) for offset in range(8, 72, 8)
        )
        pointer = _instruction(0xBF, _registers(2, 10)) + _instruction(0x07, _registers(2), 0, -64)
        arguments = clear + pointer + _move(3, 64) + _move(4, 0)
    else:
        arguments = b"".join(_move(register, 0) for register in range(1, zeros + 1))
    return arguments + _instruction(0x85, 0, 0, helper) + _move(0, 0) + _EXIT


def _load(kind: int, code: bytes, what: str, attached: int = 0) -> int:
    """Have the kernel check a program and keep it for as long as the descriptor is open."""
    program = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(b"GPL")
    head = struct.pack(
        "=IIQQIIQII",
        kind,
        len(code) // 8,
        ctypes.addressof(program),
        ctypes.addressof(license_),
        0,
        0,
        0,
        0,
        0,
    )
    return _call(_PROG_LOAD, head + b"\0" * 20 + struct.pack("=I", attached), what)


def _pass(kind: int, result: int, what: str, attached: int = 0) -> int:
    return _load(kind, _move(0, result) + _EXIT, what, attached)


def _have_btf() -> None:
    if not _BTF.exists():
        raise OSError(errno.ENOENT, f"there is no {_BTF}: the kernel has no types of its own")


def _hook_tc() -> None:
    with NetlinkSocket() as sock:
        index = _veth(Links(sock))
        program = _pass(_SCHED_CLS, 0, "a program for tc")
        try:
            Shaping(sock).add_hooks(index)
            options = nested(
                _TCA_OPTIONS,
                attribute(_BPF_FD, u32(program)),
                attribute(_BPF_NAME, string("trial")),
                attribute(_BPF_FLAGS, u32(_DIRECT)),
            )
            head = struct.pack("=BxxxiIII", 0, index, 0, _HOOK_IN, 1 << 16 | _ETH_ALL)
            payload = head + attribute(_TCA_KIND, string("bpf")) + options
            flags = NLM_F_CREATE | NLM_F_EXCL
            sock.request(Request(RTM_NEWTFILTER, payload, flags, "a program at tc's hook"))
        finally:
            os.close(program)
            Links(sock).delete(_LINK)


def _hook_xdp() -> None:
    with NetlinkSocket() as sock:
        index = _veth(Links(sock))
        program = _pass(_XDP, 2, "a program for XDP")
        try:
            hook = nested(
                _IFLA_XDP,
                attribute(_XDP_FD, u32(program)),
                attribute(_XDP_FLAGS, u32(_GENERIC)),
            )
            payload = struct.pack("=BxHiII", 0, 0, index, 0, 0) + hook
            sock.request(Request(RTM_SETLINK, payload, 0, "a program at XDP's hook"))
        finally:
            os.close(program)
            Links(sock).delete(_LINK)


def _veth(links: Links) -> int:
    links.delete(_LINK)
    links.create_veth(_LINK, "trial1")
    return links.get(_LINK).index


def _trial_of(name: str) -> Callable[[], None]:
    family, _, what = name.removeprefix("bpf:").partition(":")
    if family in _HOOKS:
        return _HOOKS[family]
    return lambda: os.close(_MADE[family](what))


def _program(what: str) -> int:
    if what in _ATTACHED:
        return _pass(_CGROUP_SOCK_ADDR, 1, f"a program for {what}", _ATTACHED[what])
    kind, result = {"tc": (_SCHED_CLS, 0), "XDP": (_XDP, 2)}[what]
    return _pass(kind, result, f"a program for {what}")


def _helper(what: str) -> int:
    return _load(_SCHED_CLS, _calling(*_HELPERS[what]), f"the helper {what}")


_MADE: Mapping[str, Callable[[str], int]] = {"map": _map, "program": _program, "helper": _helper}
_HOOKS: Mapping[str, Callable[[], None]] = {
    "BTF": _have_btf,
    "tc hook": _hook_tc,
    "XDP hook": _hook_xdp,
}


def try_bpf(names: Sequence[str]) -> Iterator[tuple[str, Tried]]:
    """ "bpf:map:hash" and its like."""
    return ((name, attempt(_trial_of(name), _CAPABILITY)) for name in names)
