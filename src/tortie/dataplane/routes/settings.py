"""Which routes are ours, and what they look like."""

from msgspec import Struct

from tortie.linux.netlink.rtnetlink import TABLE_MAIN
from tortie.net import Prefix


class RouteSettings(Struct, frozen=True):
    """Felix's names and defaults.

    `device_protocol` (DeviceRouteProtocol) marks the routes to local workloads. Its default, 3, is
    also what `ip route add` uses: there the interface's name decides what is ours.
    `cluster_protocol` marks all others, and is ours alone. `priority4` and `priority6` are
    IPv4NormalRoutePriority and IPv6NormalRoutePriority; `source4` and `source6`
    DeviceRouteSourceAddress and DeviceRouteSourceAddressIPv6: what the node itself calls local
    workloads from. `remove_external` (RemoveExternalRoutes): whoever else made a route to a
    workload's interface, it goes. `programs_ipip` and `programs_plain` follow from
    ProgramClusterRoutes: which ways to other nodes are not BIRD's business. With `disabled`
    (RouteSyncDisabled) another one makes all routes.
    """

    device_protocol: int = 3
    cluster_protocol: int = 80
    priority4: int = 1024
    priority6: int = 1024
    table: int = TABLE_MAIN
    interface_prefixes: tuple[str, ...] = ("cali",)  # InterfacePrefix
    vxlan_device4: str = "vxlan.calico"
    vxlan_device6: str = "vxlan-v6.calico"
    ipip_device: str = "tunl0"
    source4: Prefix | None = None
    source6: Prefix | None = None
    remove_external: bool = True
    programs_ipip: bool = True
    programs_plain: bool = False
    disabled: bool = False
    ip_forwarding: bool = True  # IPForwarding

    def priority(self, version: int) -> int:
        """The metric of our routes of one family."""
        return self.priority4 if version == 4 else self.priority6

    def vxlan_device(self, version: int) -> str:
        """The device for routes of one family."""
        return self.vxlan_device4 if version == 4 else self.vxlan_device6

    def source(self, version: int) -> int | None:
        """The address that the node's own packets to workloads come from; None: the kernel's
        choice."""
        found = self.source4 if version == 4 else self.source6
        return None if found is None else found.address

    @property
    def protocols(self) -> frozenset[int]:
        """What marks our routes."""
        return frozenset({self.device_protocol, self.cluster_protocol})

    @property
    def tunnels(self) -> frozenset[str]:
        """The devices that routes to other nodes may use."""
        return frozenset({self.vxlan_device4, self.vxlan_device6, self.ipip_device})

    def is_workload(self, interface: str) -> bool:
        """Whether an interface of this name can be a workload's."""
        return interface.startswith(self.interface_prefixes)
