"""What a node's end of WireGuard looks like."""

from pathlib import Path

from msgspec import Struct

OVERHEAD: dict[int, int] = {4: 60, 6: 80}  # bytes around a packet, by the IP version outside


class WireguardSettings(Struct, frozen=True):
    """One device of `node`, for packets of one IP version. Felix's names and defaults for IPv4.

    `device` is WireguardInterfaceName, `port` WireguardListeningPort, `mtu` WireguardMTU (0: what
    the underlay carries, less the overhead), `keepalive` WireguardPersistentKeepAlive in seconds,
    `rule_priority` WireguardRoutingRulePriority, `encrypts_hosts` WireguardHostEncryptionEnabled,
    `threaded` WireguardThreadingEnabled. `mark` is a bit of the packets' mark: those that have it
    are WireGuard's own, and pass the rule by. `table` is ours alone (RouteTableRanges), as is
    `protocol`. `run_dir` holds the keys and, where the kernel has no WireGuard, the sockets of
    wireguard-go. `beside` are the devices of other IP versions, whose sockets are there, too.
    """

    node: str
    run_dir: Path
    enabled: bool = False
    version: int = 4
    device: str = "wireguard.cali"
    port: int = 51820
    mtu: int = 0
    keepalive: int = 0
    rule_priority: int = 99
    encrypts_hosts: bool = False
    threaded: bool = False
    mark: int = 0x100000
    table: int = 1
    protocol: int = 80
    priority: int = 1024
    interface_prefixes: tuple[str, ...] = ("cali",)
    beside: tuple[str, ...] = ()

    @property
    def keys_file(self) -> Path:
        """Where its private keys are."""
        return self.run_dir / ("wireguard.key" if self.version == 4 else "wireguard-v6.key")

    @property
    def sockets(self) -> Path:
        """Where wireguard-go's socket is."""
        return self.run_dir / "wireguard"

    @property
    def last_resort(self) -> int:
        """The metric of the routes that drop what the device can't take."""
        return self.priority * 2
