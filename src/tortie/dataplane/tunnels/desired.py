"""Which tunnel ends there are, and the entries that reach them: pure."""

from collections import defaultdict

from tortie.engine.delta import Delta, Vtep
from tortie.net import Prefix


class DesiredTunnels:
    """This node's tunnel end, and the others' by node, for packets of one IP version."""

    def __init__(self, version: int = 4) -> None:
        self._version = version
        self.local: Vtep | None = None
        self._remote: dict[str, Vtep] = {}
        self._by_key: defaultdict[str | Prefix, set[str]] = defaultdict(set)

    def fold(self, delta: Delta) -> set[str | Prefix]:
        """Take a delta in; returns the MACs and tunnel addresses whose entries may differ."""
        local = local_end(delta, self._version)
        if local is not None:
            (self.local,) = local
        if self._version == 4:
            vteps, removed = delta.vteps, delta.vteps_removed
        else:
            vteps, removed = delta.vteps_v6, delta.vteps_v6_removed
        touched: set[str | Prefix] = set()
        for node in removed | vteps.keys():
            touched.update(self._drop(node))
        for vtep in vteps.values():
            touched.update(self._add(vtep))
        return touched

    def _drop(self, node: str) -> tuple[str | Prefix, ...]:
        vtep = self._remote.pop(node, None)
        if vtep is None:
            return ()
        for key in _keys(vtep):
            self._by_key[key].discard(node)
            if not self._by_key[key]:
                del self._by_key[key]
        return _keys(vtep)

    def _add(self, vtep: Vtep) -> tuple[str | Prefix, ...]:
        self._remote[vtep.node] = vtep
        for key in _keys(vtep):
            self._by_key[key].add(vtep.node)
        return _keys(vtep)

    def keys(self) -> set[str | Prefix]:
        """Every MAC and tunnel address that has an entry."""
        return set(self._by_key)

    def claims(self, key: str | Prefix) -> list[Vtep]:
        """The nodes with this MAC or tunnel address, by name; several are a mistake upstream."""
        return [self._remote[node] for node in sorted(self._by_key.get(key, ()))]

    def is_own(self, key: str | Prefix) -> bool:
        """Whether this node has this MAC or tunnel address."""
        return self.local is not None and key in _keys(self.local)


def local_end(delta: Delta, version: int) -> tuple[Vtep | None] | None:
    """What a delta says of this node's own tunnel end; None: nothing new."""
    return delta.local_vtep if version == 4 else delta.local_vtep_v6


def _keys(vtep: Vtep) -> tuple[str | Prefix, ...]:
    return vtep.mac.lower(), tunnel_address(vtep)


def tunnel_address(vtep: Vtep) -> Prefix:
    """A tunnel end's address alone, as the /32 or /128 that the device has."""
    return Prefix.single(vtep.address.version, vtep.address.address)


def underlay_address(vtep: Vtep) -> Prefix:
    """The address that the encapsulated packets go to."""
    return Prefix.single(vtep.underlay.version, vtep.underlay.address)
