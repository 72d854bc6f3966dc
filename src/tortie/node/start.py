"""A node's start, once, before its daemons: what calico-node's start-up does, in its order.

The Node with its addresses, AS number and reference; the cluster's default pools and settings; the
files for other programs; at last the condition by which Kubernetes keeps pods away while a node has
no network. A step that fails ends the start with its reason, and a supervisor tries again: each
step leaves alone what is right already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from tortie.api import IPPool, Key, Node
from tortie.cloud.advice import warnings
from tortie.cloud.detect import DMI, cloud_of, firmware
from tortie.datastore import Datastore, DatastoreError, Forbidden, NotFound, Unavailable
from tortie.datastore.initialize import ensure_initialized
from tortie.ipam import IPAM
from tortie.net import parse_prefix
from tortie.node import defaults, kubeadm
from tortie.node.addressing import Addressing, Wanted
from tortie.node.autodetect import Held, parse_method
from tortie.node.clouds import VARIABLE
from tortie.node.files import remove_shutdown, write_nodename
from tortie.node.machine import Kubernetes
from tortie.node.resource import register
from tortie.node.start_settings import StartSettings
from tortie.node.surroundings import surroundings
from tortie.node.taken import taken_ranges
from tortie.sync import Backoff

_KERNELS_IPV6 = Path("/proc/net/if_inet6")  # not there where the kernel has none
T = TypeVar("T")
Say = Callable[[str], None]


class NotStarted(Exception):
    """This node can't start as it is told to; the message says why and what to do."""


class Around(NamedTuple):
    """What a start finds: the cluster as kubeadm tells it, and words for what the cluster is."""

    subnets: kubeadm.Subnets
    words: tuple[str, ...]


class Start:
    """One start. `api` is None where the node is not Kubernetes'; `release` is our version.

    `has_nodes_own`: the datastore keeps a FelixConfiguration for each node.
    """

    def __init__(
        self,
        settings: StartSettings,
        environ: Mapping[str, str],
        store: Datastore,
        api: Kubernetes | None,
        release: str,
        has_nodes_own: bool,
        say: Say,
        warn: Say,
    ) -> None:
        self._settings, self._environ = settings, environ
        self._store, self._api, self._release = store, api, release
        self._has_nodes_own = has_nodes_own
        self._say, self._warn = say, warn

    async def run(self) -> None:
        """All steps. Raises NotStarted, AddressTaken, NoRange, ValueError, DatastoreError,
        OSError."""
        settings = self._settings
        if settings.waits:
            await self._wait()
        held = (await asyncio.to_thread(surroundings, [])).held
        around = await self._look_around()
        await self._register(held)
        await self._pools(held, around)
        await self._advise()
        await ensure_initialized(self._store, self._release)
        words = (*settings.cluster_types, *around.words)
        await defaults.ensure_cluster_type(self._store, words)
        await defaults.ensure_felix(self._store, settings.node, self._has_nodes_own)
        await self._upgrade()
        self._write_name(settings.nodename_file)
        await self._tell_kubernetes()
        remove_shutdown(settings.shutdown_file)

    def _write_name(self, path: Path) -> None:
        try:
            if write_nodename(path, self._settings.node):
                self._say(f"wrote {path}")
        except OSError as problem:
            raise NotStarted(
                f"CALICO_NODENAME_FILE: {path} can't be written: {problem.strerror or problem}"
            ) from None

    async def _wait(self) -> None:
        """Until the datastore answers, whatever it answers. Raises Forbidden."""
        backoff, told = Backoff(), ""
        while True:
            try:
                await self._store.get(Key("Node", "", self._settings.node))
                return
            except NotFound:
                return
            except Unavailable as problem:
                if str(problem) != told:
                    told = str(problem)
                    self._warn(f"waiting for the datastore: {told}")
                await backoff.wait()

    async def _look_around(self) -> Around:
        if self._api is None:
            return Around(kubeadm.Subnets(), ())
        api = self._api
        data = await self._allowed(api.config_map(kubeadm.NAMESPACE, kubeadm.KUBEADM))
        rancher = await self._allowed(api.config_map(kubeadm.NAMESPACE, kubeadm.RANCHER))
        words = [
            word for word, there in (("kubeadm", data), ("rancher", rancher)) if there is not None
        ]
        return Around(kubeadm.subnets(data or {}), tuple(words))

    async def _allowed(self, asked: Awaitable[T | None]) -> T | None:
        """What we have no right to know counts as not there."""
        try:
            return await asked
        except Forbidden as refusal:
            self._warn(f"{refusal}; going on without it")
            return None

    async def _register(self, held: Sequence[Held]) -> None:
        settings = self._settings
        wanted = self._with_default(settings.addresses, await self._node())
        internal = self._internal if self._api is not None else None
        addressing = Addressing(self._store, settings.node, wanted, self._say, self._warn, internal)
        found = await addressing.find()
        for text in found.values():
            self._confirm(text, held)
        as_number = settings.as_number if settings.is_networking else ""
        node = await register(self._store, settings.node, found, as_number, settings.reference)
        bgp = node.spec.bgp
        if bgp is None or not (bgp.ipv4_address or bgp.ipv6_address):
            self._without_address()

    def _without_address(self) -> None:
        missing = (
            "no IPv4 or IPv6 address is configured or found (`tortie node autodetect` says why)"
        )
        if self._settings.is_networking:
            raise NotStarted(f"{missing}: set IP, or IP_AUTODETECTION_METHOD to another method")
        self._warn(f"{missing}: what needs this node's address does not work")

    async def _node(self) -> Node | None:
        try:
            return cast(Node, await self._store.get(Key("Node", "", self._settings.node)))
        except NotFound:
            return None

    def _with_default(self, wanted: Wanted, node: Node | None) -> Wanted:
        """IPv4 is looked for where nobody gave an address, now or before."""
        bgp = None if node is None else node.spec.bgp
        is_said = bool(self._environ.get("IP", "")) or bool(bgp and bgp.ipv4_address)
        if is_said:
            return wanted
        how = self._environ.get("IP_AUTODETECTION_METHOD") or "first-found"
        try:
            method = parse_method(how)
        except ValueError as problem:
            raise ValueError(f"IP_AUTODETECTION_METHOD: {problem}") from None
        return wanted._replace(methods={**wanted.methods, 4: method})

    async def _internal(self) -> tuple[str, ...]:
        assert self._api is not None
        return (await self._api.machine(self._settings.kubernetes_name)).internal

    def _confirm(self, text: str, held: Sequence[Held]) -> None:
        version, address, _ = parse_prefix(text)
        if not any(
            (one.address.version, one.address.address) == (version, address) for one in held
        ):
            self._warn(f"{text} is on no interface of this machine")

    async def _pools(self, held: Sequence[Held], around: Around) -> None:
        settings = self._settings
        if not settings.pools:
            self._say(f"no default pools: {settings.no_pools}")
            return
        wanted = dict(settings.pools)
        if not _has_ipv6():
            wanted.pop(6, None)
        services = around.subnets.services
        taken = await taken_ranges(self._store, held, services, self._environ)
        await defaults.ensure_pools(
            self._store, wanted, around.subnets.pods, taken, self._say, self._warn
        )

    async def _advise(self) -> None:
        """Say what of the pools this machine's cloud drops, before anybody waits for packets."""
        if not self._settings.is_networking:
            return
        cloud = cloud_of(firmware(Path(self._environ.get(VARIABLE) or DMI)))
        if cloud is None and self._api is not None:
            machine = await self._allowed(self._api.machine(self._settings.kubernetes_name))
            cloud = cloud_of({}, machine.provider_id) if machine is not None else None
        if cloud is None:
            return
        pools = cast(tuple[IPPool, ...], (await self._store.list("IPPool")).resources)
        for line in warnings(cloud, pools):
            self._warn(line)

    async def _upgrade(self) -> None:
        """Claims of an older release get what other programs select them by; ours need it not."""
        if not self._settings.is_networking:
            return
        try:
            await IPAM(self._store).upgrade_node(self._settings.node)
        except DatastoreError as problem:  # nothing on this node depends on it
            self._warn(
                f"this node's claims to blocks stay as an older release wrote them: {problem}"
            )

    async def _tell_kubernetes(self) -> None:
        """Last: from now on pods come."""
        if self._api is None or not self._settings.is_networking:
            return
        name = self._settings.kubernetes_name
        try:
            await self._api.network_unavailable(name, False)
        except DatastoreError as problem:  # as with Calico: a cloud's controller may do it, too
            self._warn(f"the condition NetworkUnavailable of Node {name} can't be set: {problem}")


def _has_ipv6() -> bool:
    """Whether the kernel has it at all."""
    return _KERNELS_IPV6.exists()
