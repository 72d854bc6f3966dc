"""What of the pools can't work on a cloud's network, and what to do. Pure.

What a packet looks like between nodes follows from its pool; what a cloud's network lets through is
the cloud's. Who finds out by packets that never arrive searches for days.
"""

from collections.abc import Iterable, Iterator, Mapping

from tortie.api import IPPool
from tortie.cloud.detect import Cloud
from tortie.net import parse_network

_ON = ("Always", "CrossSubnet")
_PLAIN: Mapping[Cloud, str] = {
    Cloud.AMAZON: (
        "Amazon drops packets of addresses that are not the machine's own: set awsSrcDstCheck to"
        " Disable in FelixConfiguration (within one subnet that is enough), or use vxlanMode Always"
    ),
    Cloud.AZURE: (
        "Azure's network carries only addresses that it gave out itself: use vxlanMode Always, or"
        " routes of the virtual network with IP forwarding on each interface"
    ),
    Cloud.GOOGLE: (
        "Google's network knows only its own addresses: use vxlanMode Always, or let machines"
        " forward (canIpForward) and make a route of the network for each node's block"
    ),
}


def warnings(cloud: Cloud, pools: Iterable[IPPool], source_check: str = "DoNothing") -> list[str]:
    """A line for each thing that can't work. `source_check` is AWSSrcDstCheck."""
    return [line for pool in pools for line in _of_pool(cloud, pool, source_check)]


def _of_pool(cloud: Cloud, pool: IPPool, source_check: str) -> Iterator[str]:
    spec, name = pool.spec, pool.metadata.name
    if "Workload" not in spec.uses or not _is_readable(spec.cidr):
        return
    if cloud is Cloud.AZURE and spec.ipip_mode in _ON:
        yield (
            f"IPPool {name}: ipipMode is {spec.ipip_mode}, and Azure's network drops IP-in-IP"
            " (protocol 4): use vxlanMode"
        )
        return
    mode = spec.vxlan_mode if spec.vxlan_mode in _ON else spec.ipip_mode
    if mode == "Always" or (cloud is Cloud.AMAZON and source_check == "Disable"):
        return
    between = "between nodes of one subnet" if mode == "CrossSubnet" else "between nodes"
    yield f"IPPool {name}: without encapsulation {between}: {_PLAIN[cloud]}"


def _is_readable(cidr: str) -> bool:
    try:
        parse_network(cidr)
    except ValueError:  # whoever reads pools for policy tells of it
        return False
    return True
