"""The node's own address inside the VXLAN network: there when a pool needs one, else gone.

The address comes from IPAM under the handle vxlan-tunnel-addr-<node>, so that no workload gets
it, and is published in the Node, from where every other node learns it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import cast

import structlog
from msgspec.structs import replace

from tortie.agent.backoff import Backoff
from tortie.agent.pipeline import KeyValue
from tortie.api import IPPool, Key, Node, Resource
from tortie.datastore import Datastore, DatastoreError, NotFound, update_with
from tortie.ipam import IPAM, AssignRequest, IpamError
from tortie.net import Prefix, format_address, parse_network

_log = structlog.get_logger(__name__)


class TunnelAddresses:
    """Keeps one node's VXLAN address right. Runs beside the agent and sees its updates."""

    def __init__(self, store: Datastore, ipam: IPAM, node: str) -> None:
        self._store = store
        self._ipam = ipam
        self._node = Key("Node", "", node)
        self._handle = f"vxlan-tunnel-addr-{node}"
        self._attributes = {"node": node, "type": "vxlanTunnelAddress"}
        self._due = asyncio.Event()
        self._backoff = Backoff()
        self._told = ""
        self.in_use = False  # whether a pool uses VXLAN

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
                _log.exception("setting the tunnel's address met a defect, will retry")
                self._backoff.schedule(self._due.set)
            else:
                self._told = ""
                self._backoff.reset()

    def _tell(self, reason: str) -> None:
        """Once, not at each attempt: a datastore may be away for long."""
        if reason != self._told:
            self._told = reason
            _log.warning("can't set the tunnel's address, will retry", reason=reason)

    async def reconcile(self) -> None:
        """Make address and Node as the pools want them. Raises DatastoreError, IpamError."""
        pools = vxlan_pools((await self._store.list("IPPool")).resources)
        self.in_use = bool(pools)
        node = cast(Node, await self._store.get(self._node))
        held = await self._ipam.addresses_of(self._handle)
        if not _is_within(held, pools):
            await self._withdraw()
            held = await self._assign(pools) if pools else ()
        if held:
            await self._publish(format_address(4, held[0].address), tunnel_mac(node))

    async def _withdraw(self) -> None:
        """First from the Node, then from IPAM: else others send to what is somebody else's."""
        await self._publish("", "")
        await self._ipam.release_by_handle(self._handle)

    async def _assign(self, pools: Sequence[IPPool]) -> tuple[Prefix, ...]:
        request = AssignRequest(
            node=self._node.name,
            handle=self._handle,
            pools4=tuple(pool.spec.cidr for pool in pools),
            use="Tunnel",
            attributes=self._attributes,
        )
        return (await self._ipam.auto_assign(request)).ips

    async def _publish(self, address: str, mac: str) -> None:
        def change(current: Resource) -> Resource | None:
            node = cast(Node, current)
            wanted = replace(node.spec, ipv4_vxlan_tunnel_addr=address, vxlan_tunnel_mac_addr=mac)
            if wanted == node.spec:
                return None
            _log.info("the tunnel's address changes", address=address or "none")
            return replace(node, spec=wanted)

        await update_with(self._store, self._node, change)


def vxlan_pools(pools: Iterable[Resource]) -> list[IPPool]:
    """The IPv4 pools that traffic between nodes of goes through VXLAN."""
    return [pool for pool in cast(Iterable[IPPool], pools) if _uses_vxlan(pool)]


def _uses_vxlan(pool: IPPool) -> bool:
    if pool.spec.vxlan_mode not in ("Always", "CrossSubnet"):
        return False
    try:
        return parse_network(pool.spec.cidr).version == 4
    except ValueError:  # whoever reads pools for policy tells of it
        return False


def _is_within(held: Sequence[Prefix], pools: Sequence[IPPool]) -> bool:
    return bool(held) and any(
        parse_network(pool.spec.cidr).contains(Prefix.single(held[0].version, held[0].address))
        for pool in pools
    )


def tunnel_mac(node: Node) -> str:
    """The MAC that the Node has, else one made of its name: the same after every restart."""
    if node.spec.vxlan_tunnel_mac_addr:
        return node.spec.vxlan_tunnel_mac_addr
    digest = sha1(node.metadata.name.encode(), usedforsecurity=False).digest()
    return ":".join(f"{byte:02x}" for byte in (0x66, *digest[:5]))
