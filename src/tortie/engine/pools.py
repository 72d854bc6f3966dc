"""The pools, and which tunnel devices they ask for."""

from tortie.api import Key
from tortie.engine.delta import Encapsulation, Pool
from tortie.engine.ledger import Ledger
from tortie.net import Prefix


class Pools:
    """Pools by key; told by their addresses. There are few: each question walks all."""

    def __init__(self) -> None:
        self.told: Ledger[Prefix, Pool] = Ledger()
        self._pools: dict[Key, Pool] = {}

    def put(self, key: Key, pool: Pool | None) -> Pool | None:
        """Take in a pool, or its end; what was known of it before."""
        old = self._pools.pop(key, None)
        if pool is not None:
            self._pools[key] = pool
        for each in filter(None, (old, pool)):
            same = [one for one in self._pools.values() if one.cidr == each.cidr]
            self.told.set(each.cidr, max(same, default=None))
        return old

    def around(self, cidr: Prefix) -> Pool | None:
        """The smallest pool around a block; of equal ones the last by their fields."""
        around = [pool for pool in self._pools.values() if pool.cidr.contains(cidr)]
        return max(around, key=lambda pool: (pool.cidr.length, pool), default=None)

    def encapsulation(self) -> Encapsulation:
        """The devices that any pool asks for. One that gives out no more addresses counts, too."""
        pools = self._pools.values()
        return Encapsulation(
            ipip=any(pool.ipip_mode != "Never" for pool in pools),
            vxlan=any(pool.vxlan_mode != "Never" and pool.cidr.version == 4 for pool in pools),
            vxlan_v6=any(pool.vxlan_mode != "Never" and pool.cidr.version == 6 for pool in pools),
        )
