"""The node's public keys: published once its devices have them, withdrawn when it takes no part.

What the Node publishes is what this node's own driver goes by, too: a key changes here when the
update comes back, at the same time as for every other node.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import structlog
from msgspec.structs import replace

from tortie.agent.backoff import Backoff
from tortie.agent.pipeline import KeyValue
from tortie.api import Key, Node, Resource
from tortie.api.calico.node import NodeStatus
from tortie.dataplane.wireguard import Keys, WireguardSettings
from tortie.datastore import Datastore, DatastoreError, NotFound, update_with

_log = structlog.get_logger(__name__)


class PublicKeys:
    """Keeps the Node's status.wireguardPublicKey and …V6 right. Runs beside the agent."""

    def __init__(
        self, store: Datastore, node: str, settings: Mapping[int, WireguardSettings]
    ) -> None:
        """`settings` are those of each IP version."""
        self._store = store
        self._node = Key("Node", "", node)
        self._settings = dict(settings)
        self._has: dict[int, str] = {}  # the keys that devices have, or are going to
        self._due = asyncio.Event()
        self._backoff = Backoff()
        self._told = ""

    def configure(self, settings: Mapping[int, WireguardSettings]) -> None:
        """WireGuard may be on or off now."""
        if dict(settings) != self._settings:
            self._settings = dict(settings)
            self._has = {one: key for one, key in self._has.items() if settings[one].enabled}
            self._due.set()

    def saw(self, updates: Sequence[KeyValue]) -> None:
        """The agent's observer: our Node came anew, or somebody wrote it without the keys.

        Without them all nodes would send to us in clear, for as long as nobody looks.
        """
        for key, value in updates:
            if key == self._node and value is not None and self._wanted(value) is not None:
                self._due.set()

    def ready(self, version: int, public: str) -> None:
        """The device for this IP version is there, with this key. In the event loop.

        One that is off is about to go, and its keys with it: if it is on again it says so anew.
        """
        if self._settings[version].enabled and self._has.get(version) != public:
            self._has[version] = public
            self._due.set()

    def rotate(self) -> list[str]:
        """Make other keys for all devices that are on; their public halves. Raises OSError."""
        made = []
        for version, settings in self._settings.items():
            if settings.enabled and version in self._has:
                self._has[version] = Keys(settings.keys_file).rotate()
                made.append(self._has[version])
        self._due.set()
        return made

    async def run(self) -> None:
        """Work until cancelled; a failure is told, and tried again."""
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await update_with(self._store, self._node, self._published)
            except NotFound:
                self._backoff.schedule(self._due.set)  # our Node is made by another part of us
            except DatastoreError as problem:
                self._tell(str(problem))
                self._backoff.schedule(self._due.set)
            else:
                self._told = ""
                self._backoff.reset()

    def _wanted(self, current: Resource) -> NodeStatus | None:
        """The status with our keys; None where it has them."""
        before = cast(Node, current).status or NodeStatus()
        wanted = replace(
            before,
            wireguard_public_key=self._key(4, before.wireguard_public_key),
            wireguard_public_key_v6=self._key(6, before.wireguard_public_key_v6),
        )
        return None if wanted == before else wanted

    def _published(self, current: Resource) -> Resource | None:
        wanted = self._wanted(current)
        if wanted is None:
            return None
        _log.info(
            "public keys of WireGuard change",
            ipv4=wanted.wireguard_public_key or "none",
            ipv6=wanted.wireguard_public_key_v6 or "none",
        )
        return replace(cast(Node, current), status=wanted)

    def _key(self, version: int, published: str) -> str:
        """Until a device has a key, what was published stays: others' packets are then lost, but
        never in clear."""
        if not self._settings[version].enabled:
            return ""
        return self._has.get(version, published)

    def _tell(self, reason: str) -> None:
        """Once, not at each attempt: a datastore may be away for long."""
        if reason != self._told:
            self._told = reason
            _log.warning("can't publish WireGuard's keys, will retry", reason=reason)
