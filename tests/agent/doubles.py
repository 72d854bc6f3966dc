"""Stand-ins for the parts around the agent: they record, and do what a test tells them."""

import asyncio
import threading

from tortie.agent.settings import Settings
from tortie.api import Key
from tortie.dataplane.contract import Applied, Failure
from tortie.engine.configuration import Origin, Source
from tortie.engine.delta import Delta
from tortie.policy.program import Endpoint, EndpointId, PolicyId
from tortie.sync.stream import InSync, Progress, Update


def settings(**texts):
    """What an agent runs with: the node n1, and these parameters."""
    said = {"FelixHostname": "n1", **{name: str(text) for name, text in texts.items()}}
    return Settings([Source(Origin.ENVIRONMENT, "the test", said)])


def endpoint_id(name):
    return EndpointId("WorkloadEndpoint", "default", name)


SOMETHING = object()  # a resource that no double looks into


def update(name, value=SOMETHING, kind="WorkloadEndpoint"):
    return Update(Key(kind, "default", name), value)


class ScriptedSource:
    """A stream that a test feeds."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.outage = None

    def put(self, *items):
        self.queue.put_nowait(list(items))

    def sync(self, revision=1):
        self.put(InSync(), Progress(revision))

    async def stream(self):
        while True:
            batch = await self.queue.get()
            if isinstance(batch[0], Exception):
                raise batch[0]
            yield batch


class EchoEngine:
    """Every WorkloadEndpoint of the stream is an endpoint of this node."""

    def __init__(self):
        self.batches = []
        self.complaints = []

    def apply(self, updates):
        updates = tuple(updates)
        self.batches.append(updates)
        endpoints, gone = {}, set()
        for key, value in updates:
            if isinstance(value, Exception):
                raise value
            name = EndpointId(key.kind, key.namespace, key.name)
            if value is None:
                gone.add(name)
            else:
                endpoints[name] = Endpoint(name, f"cali{key.name}", ())
        return Delta(endpoints=endpoints, endpoints_removed=frozenset(gone))

    def warnings(self):
        drained, self.complaints = self.complaints, []
        return drained


class RecordingDriver:
    """A driver, or a whole dataplane, that notes its calls in `journal` (shared where given)."""

    def __init__(self, name="policy", journal=None):
        self.name = name
        self.journal = [] if journal is None else journal
        self.fail_with = None  # an exception to raise, or failures to report
        self.unready = {}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.desired = {}
        self.ports = frozenset()
        self.written = 0

    def _note(self, call, *details):
        self.entered.set()
        assert self.gate.wait(20), "the test never opened the gate"
        self.journal.append((self.name, call, *details))
        if isinstance(self.fail_with, Exception):
            raise self.fail_with
        return Applied(tuple(self.fail_with or ()))

    def _take(self, delta):
        self.desired.update(delta.endpoints)
        for gone in delta.endpoints_removed:
            self.desired.pop(gone, None)
        return sorted(n.name for n in delta.endpoints), sorted(
            n.name for n in delta.endpoints_removed
        )

    def links_changed(self):
        return Applied()

    def guard(self):
        return self._note("guard")

    def fold(self, delta):
        self.journal.append((self.name, "fold", *self._take(delta)))

    def apply(self, delta):
        return self._note("apply", *self._take(delta))

    def resync(self):
        return self._note("resync", sorted(n.name for n in self.desired))

    def retry(self):
        return self._note("retry")

    def link_changed(self, name, event):
        return self._note("link", name, event)

    def ready(self, name):
        return name not in self.unready

    def waiting_for(self, name):
        return self.unready.get(name, "")


class RecordingDataplane(RecordingDriver):
    """A whole dataplane, which is also told whose state may have changed."""

    def __init__(self, name="all"):
        super().__init__(name)
        self.written = dict

    def repair(self, names):
        return self._note("repair", tuple(sorted(names)))

    def links_changed(self, events):
        for name, event in events:
            applied = self._note("link", name, event)
        return applied


def failed(subject="thing", driver="policy", message="no"):
    return Failure(driver, subject, message)


def policy_id(name):
    return PolicyId("NetworkPolicy", "default", name)
