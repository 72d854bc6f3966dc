"""Having things tried by a process of its own, and taking away what loading a module left.

The process is killed by the kernel if this one ends, and its namespace goes with it: nothing has a
name or a path that would stay. What outlives a namespace are kernel modules that the trial loaded,
as the agent would; one of them, ipip, also makes a device in the machine's own namespace. It is
taken away again, if it was not there before and nobody has begun to use it.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.requirements.rights import held, lacking
from tortie.requirements.trials.devices import SIDE_EFFECTS
from tortie.requirements.tried import Outcome, Tried

_PATIENCE = 180.0  # seconds: a slow machine loads dozens of modules for it
_UNTRIED = Tried(
    Outcome.FORBIDDEN, "needs CAP_SYS_MODULE to be tried and leave no device tunl0 behind"
)
_MODULES = Path("/sys/module")
_O_NONBLOCK = 0o4000
_DELETE_MODULE = {"x86_64": 176, "aarch64": 106, "ppc64le": 129, "s390x": 129}


class Trial:
    """A process that tries, from its start until its answers are taken."""

    def __init__(self, names: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(names))
        self._absent = [module for module in SIDE_EFFECTS if not (_MODULES / module).exists()]
        self._untried = {
            name: _UNTRIED for name in wanted if name.partition(":")[2] in self._absent
        }
        if not lacking(held(), ("SYS_MODULE",)):
            self._untried = {}
        self._names = [name for name in wanted if name not in self._untried]
        self._devices = _device_names() if self._absent and self._names else frozenset()
        self._process: subprocess.Popen[str] | None = None
        if self._names:
            self._process = _start(self._names)

    def answers(self) -> Mapping[str, Tried]:
        """What came of each name."""
        if self._process is None:
            return self._untried
        try:
            output, errors = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            output, errors = "", f"it did not end within {_PATIENCE:g} s"
        for module in self._absent:
            _take_away(module, self._devices)
        return self._untried | _read(self._names, output, errors)


def tried(names: Iterable[str]) -> Mapping[str, Tried]:
    """What came of each of these trials. It takes about a third of a second."""
    return Trial(names).answers()


def _start(names: Sequence[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tortie.requirements.trials", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended at once: its end says why
        process.stdin.write(json.dumps(names))
        process.stdin.close()
    process.stdin = None
    return process


def _read(names: Sequence[str], output: str, errors: str) -> dict[str, Tried]:
    try:
        answers = json.loads(output)
    except ValueError:
        last = (errors.strip().splitlines() or ["no reason given"])[-1]
        return {name: Tried(Outcome.FORBIDDEN, f"it could not be tried: {last}") for name in names}
    return {name: Tried(Outcome(outcome), words) for name, (outcome, words) in answers.items()}


def _device_names() -> frozenset[str]:
    with NetlinkSocket() as sock:
        return frozenset(link.name for link in Links(sock).list())


def _take_away(module: str, before: frozenset[str]) -> None:
    """Unload what a trial loaded; whatever is in use by now stays."""
    if not (_MODULES / module).exists():
        return
    with NetlinkSocket() as sock:
        links = Links(sock)
        left = [links.find(name) for name in SIDE_EFFECTS[module] if name not in before]
        if any(link.up or links.addresses(link.name) for link in left if link is not None):
            return
    number = _DELETE_MODULE.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, module.encode(), _O_NONBLOCK)
