"""Tunnels: VXLAN, IP-in-IP, WireGuard."""

from typing import Annotated

from tortie.engine.configuration.bpf import BpfParameters
from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.readers import (
    BOOLEAN,
    SECONDS,
    integer,
    matching,
)


class OverlayParameters(BpfParameters, frozen=True, kw_only=True):
    """Tunnels: VXLAN, IP-in-IP, WireGuard."""

    # Overlay: VXLAN overlay
    vxlan_enabled: Annotated[bool | None, Parameter("VXLANEnabled", BOOLEAN, used=True)]
    vxlan_mtu: Annotated[
        int, Parameter("VXLANMTU", integer(0, 65535), "0", yaml="vxlanMTU", used=True)
    ]
    vxlan_mtu_v6: Annotated[
        int, Parameter("VXLANMTUV6", integer(), "0", yaml="vxlanMTUV6", used=True)
    ]
    vxlan_port: Annotated[
        int, Parameter("VXLANPort", integer(1, 65535), "4789", required=True, used=True)
    ]
    vxlan_vni: Annotated[
        int,
        Parameter(
            "VXLANVNI", integer(1, (1 << 24) - 1), "4096", yaml="vxlanVNI", required=True, used=True
        ),
    ]

    # Overlay: IP-in-IP
    ip_in_ip_enabled: Annotated[
        bool | None, Parameter("IpInIpEnabled", BOOLEAN, yaml="ipipEnabled", used=True)
    ]
    ip_in_ip_mtu: Annotated[int, Parameter("IpInIpMtu", integer(), "0", yaml="ipipMTU", used=True)]

    # Overlay: Wireguard
    wireguard_enabled: Annotated[bool, Parameter("WireguardEnabled", BOOLEAN, "false", used=True)]
    wireguard_enabled_v6: Annotated[
        bool, Parameter("WireguardEnabledV6", BOOLEAN, "false", used=True)
    ]
    wireguard_host_encryption_enabled: Annotated[
        bool, Parameter("WireguardHostEncryptionEnabled", BOOLEAN, "false", used=True)
    ]
    wireguard_interface_name: Annotated[
        str,
        Parameter(
            "WireguardInterfaceName",
            matching(r"^[a-zA-Z0-9:._+-]{1,15}$"),
            "wireguard.cali",
            required=True,
            used=True,
        ),
    ]
    wireguard_interface_name_v6: Annotated[
        str,
        Parameter(
            "WireguardInterfaceNameV6",
            matching(r"^[a-zA-Z0-9:._+-]{1,15}$"),
            "wg-v6.cali",
            required=True,
            used=True,
        ),
    ]
    wireguard_listening_port: Annotated[
        int, Parameter("WireguardListeningPort", integer(), "51820", used=True)
    ]
    wireguard_listening_port_v6: Annotated[
        int, Parameter("WireguardListeningPortV6", integer(), "51821", used=True)
    ]
    wireguard_mtu: Annotated[int, Parameter("WireguardMTU", integer(), "0", used=True)]
    wireguard_mtu_v6: Annotated[int, Parameter("WireguardMTUV6", integer(), "0", used=True)]
    wireguard_persistent_keep_alive: Annotated[
        float,
        Parameter(
            "WireguardPersistentKeepAlive", SECONDS, "0", yaml="wireguardKeepAlive", used=True
        ),
    ]
    wireguard_routing_rule_priority: Annotated[
        int, Parameter("WireguardRoutingRulePriority", integer(), "99", used=True)
    ]
    wireguard_threading_enabled: Annotated[
        bool, Parameter("WireguardThreadingEnabled", BOOLEAN, "false", used=True)
    ]
