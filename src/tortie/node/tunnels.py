"""The node's own addresses inside the tunnels: each there when a pool needs it, else gone.

An address comes from IPAM under a handle of its own, such as vxlan-tunnel-addr-<node>, so that no
workload gets it, and is published in the Node, from where every other node learns it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import structlog

from tortie.agent.backoff import Backoff
from tortie.agent.pipeline import KeyValue
from tortie.api import IPPool, Key, Node, Resource
from tortie.datastore import Datastore, DatastoreError, NotFound, update_with
from tortie.ipam import IPAM, AssignRequest, IpamError
from tortie.net import Prefix, format_address, parse_network
from tortie.node.ends import ENDS, End

_log = structlog.get_logger(__name__)


class TunnelAddresses:
    """Keeps one node's addresses in tunnels right. Runs beside the agent and sees its updates."""

    def __init__(
        self,
        store: Datastore,
        ipam: IPAM,
        node: str,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called when other tunnels are in use than before."""
        self._changed = changed
        self._store = store
        self._ipam = ipam
        self._node = Key("Node", "", node)
        self._due = asyncio.Event()
        self._backoff = Backoff()
        self._told = ""
        self.in_use: frozenset[str] = frozenset()  # names of the ends that are asked for

    def saw(self, updates: Sequence[KeyValue]) -> None:
        """The agent's observer: a pool or our node changed."""
        if any(key.kind == "IPPool" or key == self._node for key, _ in updates):
            self._due.set()

    async def run(self) -> None:
        """Work until cancelled; a failure is told, and tried again."""
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self.reconcile()
            except NotFound:
                self._backoff.reset()  # our Node is not there yet: its update brings us back
            except (DatastoreError, IpamError) as problem:
                self._tell(str(problem))
                self._backoff.schedule(self._due.set)
            except Exception:  # a defect here must not end the agent, whose policy is right
                _log.exception("setting the tunnels' addresses met a defect, will retry")
                self._backoff.schedule(self._due.set)
            else:
                self._told = ""
                self._backoff.reset()

    def _tell(self, reason: str) -> None:
        """Once, not at each attempt: a datastore may be away for long."""
        if reason != self._told:
            self._told = reason
            _log.warning("can't set the tunnels' addresses, will retry", reason=reason)

    async def reconcile(self) -> None:
        """Make addresses and Node as the pools want them. Raises DatastoreError, IpamError.

        One end's trouble (a full pool) does not stop the others.
        """
        pools = (await self._store.list("IPPool")).resources
        node = cast(Node, await self._store.get(self._node))
        wanted = {end: end.pools(pools, node) for end in ENDS}
        in_use = frozenset(end.name for end, asking in wanted.items() if asking)
        if in_use != self.in_use:
            self.in_use = in_use
            self._changed()
        problems = [
            problem
            for end, asking in wanted.items()
            if (problem := await self._settle(end, asking)) is not None
        ]
        if problems:
            raise problems[0]

    async def _settle(self, end: End, pools: Sequence[IPPool]) -> IpamError | None:
        held = await self._ipam.addresses_of(self._handle(end))
        if not pools and not held:
            await self._publish(end, "")  # what a former life left there
            return None
        if not _is_within(held, pools):
            await self._publish(end, "")  # first: else others send to what is somebody else's
            await self._ipam.release_by_handle(self._handle(end))
            try:
                held = await self._assign(end, pools) if pools else ()
            except IpamError as problem:
                return problem
        if held:
            await self._publish(end, format_address(end.version, held[0].address))
        return None

    def _handle(self, end: End) -> str:
        return f"{end.handle}-{self._node.name}"

    async def _assign(self, end: End, pools: Sequence[IPPool]) -> tuple[Prefix, ...]:
        cidrs = tuple(pool.spec.cidr for pool in pools)
        request = AssignRequest(
            node=self._node.name,
            handle=self._handle(end),
            count4=int(end.version == 4),
            count6=int(end.version == 6),
            pools4=cidrs if end.version == 4 else (),
            pools6=cidrs if end.version == 6 else (),
            use="Tunnel",
            attributes={"node": self._node.name, "type": end.attribute},
        )
        return (await self._ipam.auto_assign(request)).ips

    async def _publish(self, end: End, address: str) -> None:
        def change(current: Resource) -> Resource | None:
            node = cast(Node, current)
            wanted = end.publish(node, address)
            if wanted == node:
                return None
            _log.info("a tunnel's address changes", tunnel=end.name, address=address or "none")
            return wanted

        await update_with(self._store, self._node, change)


def _is_within(held: Sequence[Prefix], pools: Sequence[IPPool]) -> bool:
    return bool(held) and any(
        parse_network(pool.spec.cidr).contains(Prefix.single(held[0].version, held[0].address))
        for pool in pools
    )
