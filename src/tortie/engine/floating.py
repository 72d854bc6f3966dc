"""Floating addresses: 1:1 with workloads' own, where the agent is told to have them.

A node leads its own workloads' to their interfaces. To those of other nodes there is a way where
they are out of a pool: as to an address that the other node borrowed. What is out of no pool is for
the network around the cluster to route.
"""

from collections.abc import Iterator

from tortie.api import Key, WorkloadEndpoint
from tortie.engine.items import Item, Warn
from tortie.engine.nodes import Block
from tortie.net import Prefix, parse_prefix
from tortie.policy.program import AddressPair


class Floating:
    """The endpoints of the cluster that have floating addresses, and the ways to them."""

    def __init__(self, node: str, *, allowed: bool) -> None:
        self.allowed = allowed
        self._own = node
        self._endpoints: dict[Key, WorkloadEndpoint] = {}
        self._ways: dict[Key, dict[Key, Block]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._endpoints

    def endpoints(self) -> list[tuple[Key, WorkloadEndpoint]]:
        """Those that have any."""
        return list(self._endpoints.items())

    def put(
        self, key: Key, value: WorkloadEndpoint | None, item: Item | None, warn: Warn
    ) -> Iterator[tuple[Key, Block | None]]:
        """Take in an endpoint, or its end; which ways there are now, and which no more."""
        self._endpoints.pop(key, None)
        old = self._ways.pop(key, {})
        new: dict[Key, Block] = {}
        if value is not None and item is not None and value.spec.ip_nats:
            self._endpoints[key] = value
            if self.allowed and value.spec.node not in ("", self._own):
                new = _ways(key, value, item, warn)
        if new:
            self._ways[key] = new
        yield from ((name, None) for name in old if name not in new)
        yield from new.items()


def _ways(key: Key, value: WorkloadEndpoint, item: Item, warn: Warn) -> dict[Key, Block]:
    node = value.spec.node
    return {
        Key(key.kind, key.namespace, f"{key.name} {pair.floating}"): Block(
            pair.floating, "", ((pair.floating, node),)
        )
        for pair in address_pairs(key, value, item, warn)
    }


def address_pairs(
    key: Key, value: WorkloadEndpoint, item: Item, warn: Warn
) -> tuple[AddressPair, ...]:
    """Pairs that lead to an address that the workload really has."""
    found = []
    for nat in value.spec.ip_nats:
        try:
            floating, own = _single(nat.external_ip), _single(nat.internal_ip)
        except ValueError as error:
            warn(f"{key}: spec.ipNATs: {error}; it is left out")
            continue
        if floating.version == own.version and own in item.nets:
            found.append(AddressPair(floating, own))
        else:
            warn(f"{key}: spec.ipNATs: {own} is no address of it for {floating}; it is left out")
    return tuple(dict.fromkeys(found))


def _single(text: str) -> Prefix:
    found = parse_prefix(text)
    if not found.is_single:
        raise ValueError(f"{text!r} is more than one address")
    return found
