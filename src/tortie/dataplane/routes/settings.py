"""Which routes are ours, and what they look like."""

from msgspec import Struct

from tortie.linux.netlink.rtnetlink import TABLE_MAIN


class RouteSettings(Struct, frozen=True):
    """Felix's names and defaults.

    `device_protocol` (DeviceRouteProtocol) marks the routes to local workloads. Its default, 3, is
    also what `ip route add` uses: there the interface's name decides what is ours.
    `cluster_protocol` marks all others, and is ours alone. `priority4` and `priority6` are
    IPv4NormalRoutePriority and IPv6NormalRoutePriority.
    """

    device_protocol: int = 3
    cluster_protocol: int = 80
    priority4: int = 1024
    priority6: int = 1024
    table: int = TABLE_MAIN
    interface_prefixes: tuple[str, ...] = ("cali",)  # InterfacePrefix
    vxlan_device4: str = "vxlan.calico"
    vxlan_device6: str = "vxlan-v6.calico"
    ip_forwarding: bool = True  # IPForwarding

    def priority(self, version: int) -> int:
        """The metric of our routes of one family."""
        return self.priority4 if version == 4 else self.priority6

    def vxlan_device(self, version: int) -> str:
        """The device for routes of one family."""
        return self.vxlan_device4 if version == 4 else self.vxlan_device6

    def is_workload(self, interface: str) -> bool:
        """Whether an interface of this name can be a workload's."""
        return interface.startswith(self.interface_prefixes)
