"""Steps of the plugin's work that fail when told to: each operation of the datastore, each request
to the kernel, the wait for the agent. Which steps there are is found by recording them.
"""

import asyncio
import errno
import threading
import time
from collections import Counter
from contextlib import contextmanager
from functools import wraps
from typing import NamedTuple

from tortie.agent.waiters import NotReady
from tortie.api import Key
from tortie.datastore import Unavailable
from tortie.linux import sysctl
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket

_OPERATIONS = frozenset({"get", "list", "create", "update", "delete"})
_SLOW = 0.005  # seconds
BEFORE, AFTER, ALWAYS = "before", "after", "from then on"


class Fault(NamedTuple):
    """A step fails once, before it is done or after; or it and all later ones do."""

    step: str
    when: str


class Faults:
    """Counts steps by what they do, so that their names do not hang on who is quicker: `steps` are
    those of the calls since `tell`.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self.tell(None)

    def tell(self, fault):
        """Have this happen from now on; None: nothing."""
        with self._lock:
            self._fault, self._counts, self._broken = fault, Counter(), False
            self.steps = []
            self.happened = False

    @contextmanager
    def step(self, what, error):
        """The body is a step; `error` makes what it fails with."""
        with self._lock:
            self._counts[what] += 1
            name = f"{what} {self._counts[what]}"
            self.steps.append(name)
            struck = self._fault.when if self._fault and self._fault.step == name else ""
            self._broken = self._broken or struck == ALWAYS
            self.happened = self.happened or bool(struck)
        if self._broken or struck == BEFORE:
            raise error()
        yield
        if struck == AFTER:
            raise error()


class StruckStore:
    """A datastore whose operations are steps."""

    def __init__(self, store, faults):
        self._store, self._faults = store, faults

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name not in _OPERATIONS:
            return found

        async def operate(subject, *more):
            key = subject if isinstance(subject, str | Key) else subject.key
            kind = key if isinstance(key, str) else key.kind
            with self._faults.step(f"{name} {kind}", lambda: Unavailable("as told")):
                await asyncio.sleep(0)
                return await found(subject, *more)

        return operate


class StruckAgent:
    """An agent that has everything in the kernel at once."""

    def __init__(self, faults):
        self._faults = faults

    async def wait_ready(self, *_):
        with self._faults.step("wait_ready", lambda: NotReady("as told")):
            await asyncio.sleep(0)


def strike_kernel(patch, faults):
    """Have the plugin's requests to the kernel be steps; those of others are none.

    After a failure they are slow: who does not wait for what is still being done undoes too little.
    """

    def refused():
        return NetlinkError(errno.EIO, "as told")

    def striking(work, named):
        @wraps(work)
        def stepped(*arguments):
            if not threading.current_thread().name.startswith("cni_"):
                return work(*arguments)
            with faults.step(named(*arguments), refused):
                time.sleep(_SLOW if faults.happened else 0)
                return work(*arguments)

        return stepped

    def of_type(_, request):
        return f"netlink {getattr(request, 'type', 'batch')}"

    for name in ("request", "dump", "batch"):
        patch.setattr(NetlinkSocket, name, striking(getattr(NetlinkSocket, name), of_type))
    patch.setattr(sysctl, "write", striking(sysctl.write, lambda name, _: f"sysctl {name}"))
