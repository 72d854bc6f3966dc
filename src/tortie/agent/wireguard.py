"""What WireGuard's devices carry and with whom, for Prometheus: Felix's names and labels."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tortie.dataplane.tunnels.underlay import Refused
from tortie.dataplane.wireguard import WireguardSettings, public_key
from tortie.dataplane.wireguard.device import found
from tortie.linux.links import Links
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.wireguard import Device, Endpoint
from tortie.net import format_address

_PATIENCE = 1.0  # seconds, for a wireguard-go that does not answer: the loop waits for it
_PEER = ("hostname", "public_key", "peer_key", "peer_endpoint")
# The library's counters would put "_total" behind names that dashboards know without it.
_FAMILIES = (
    ("wireguard_latest_handshake_seconds", "When keys were last agreed on with a peer.", _PEER),
    ("wireguard_bytes_rcvd", "Bytes that came from a peer.", _PEER),
    ("wireguard_bytes_sent", "Bytes that went to a peer.", _PEER),
)
Wanted = Callable[[], Iterable[WireguardSettings]]


class WireguardMetrics(Collector):
    """Reads the devices of the calling thread's namespace when it is asked, and remembers nothing.

    `wanted` gives the settings of the devices to tell of. One that can't be read is left out.
    """

    def __init__(self, node: str, wanted: Wanted) -> None:
        self._node, self._wanted = node, wanted

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is depends on the devices."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The device in `wireguard_meta`, and a row a peer in each of the others."""
        devices = dict(self._read())
        if not devices:
            return
        meta = GaugeMetricFamily(
            "wireguard_meta",
            "A WireGuard device of this node.",
            labels=("hostname", "public_key", "iface", "listen_port"),
        )
        for settings, device in devices.items():
            meta.add_metric([self._node, _public(device), settings.device, str(device.port)], 1)
        yield meta
        rows = [row for device in devices.values() for row in self._peers(device)]
        for place, (name, text, labels) in enumerate(_FAMILIES):
            family = GaugeMetricFamily(name, text, labels=labels)
            for row, values in rows:
                family.add_metric(row, values[place])
            yield family

    def _read(self) -> Iterator[tuple[WireguardSettings, Device]]:
        for settings in self._wanted():
            with suppress(OSError, Refused), NetlinkSocket() as sock:
                device = found(settings, Links(sock), lambda: _PATIENCE)
                if device is not None:
                    with closing(device):
                        yield settings, device.read()

    def _peers(self, device: Device) -> Iterator[tuple[list[str], tuple[int, int, int]]]:
        own = _public(device)
        for key, peer in device.peers.items():
            labels = [self._node, own, b64encode(key).decode(), _text(peer.endpoint)]
            yield labels, (peer.handshake, peer.received, peer.sent)


def _public(device: Device) -> str:
    return public_key(device.private_key) if device.private_key else ""


def _text(endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return ""
    address = endpoint.address
    text = format_address(address.version, address.address)
    return f"[{text}]:{endpoint.port}" if address.version == 6 else f"{text}:{endpoint.port}"


def devices_of(
    enabled: bool, settings: Mapping[int, WireguardSettings]
) -> Iterable[WireguardSettings]:
    """The devices of which metrics are wanted (PrometheusWireGuardMetricsEnabled)."""
    return [one for one in settings.values() if one.enabled] if enabled else ()
