"""Kernel settings that workloads' interfaces need: as data, and written."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.dataplane.contract import Failure
from tortie.linux import sysctl
from tortie.policy.program import Endpoint

FORWARDING: dict[int, str] = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


class Setting(NamedTuple):
    """One sysctl and its value."""

    name: str
    value: str


def endpoint_settings(endpoint: Endpoint) -> Iterator[Setting]:
    """The IPv4 settings of a workload's interface."""
    name = endpoint.interface
    # Strict, where only its own addresses are allowed; else loose, as the packet filter checks.
    # Not 0: the kernel takes the greater one of this and conf/all.
    yield _conf4(name, "rp_filter", "2" if endpoint.allowed_sources else "1")
    yield _conf4(name, "route_localnet", "1")  # for destinations translated to the host's loopback
    yield _conf4(name, "proxy_arp", "1")  # answers for 169.254.1.1, the workload's gateway
    yield _conf4(name, "forwarding", "1")
    # The random delay before a proxied answer is for shared segments, and costs a new pod 0.8 s.
    yield Setting(sysctl.neighbours(4, name, "proxy_delay"), "0")


def endpoint_settings6(endpoint: Endpoint) -> Iterator[Setting]:
    """The IPv6 settings of a workload's interface."""
    name = endpoint.interface
    yield _conf6(name, "accept_ra", "0")  # a workload must not teach the host routes
    yield _conf6(name, "proxy_ndp", "1")
    yield _conf6(name, "forwarding", "1")


def _conf4(name: str, key: str, value: str) -> Setting:
    return Setting(sysctl.interface(4, name, key), value)


def _conf6(name: str, key: str, value: str) -> Setting:
    return Setting(sysctl.interface(6, name, key), value)


class Sysctls:
    """Writes them, and remembers for which interfaces that is done."""

    def __init__(self) -> None:
        self._done: dict[str, tuple[int, bool]] = {}
        self._forwarding: set[int] = set()
        self._failures: dict[str, Failure] = {}

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What the kernel refused, and what has not been tried again."""
        return tuple(self._failures.values())

    def done(self, endpoint: Endpoint, index: int) -> bool:
        """Whether the endpoint's interface, which has this index, is set up."""
        return self._done.get(endpoint.interface) == (index, bool(endpoint.allowed_sources))

    def forget(self) -> None:
        """Write everything again when next asked: someone else may have changed it."""
        self._done.clear()
        self._forwarding.clear()
        self._failures.clear()

    def gone(self, interface: str) -> None:
        """The interface is gone, and what is known of it."""
        self._done.pop(interface, None)
        self._failures.pop(interface, None)

    def configure(self, endpoint: Endpoint, index: int) -> None:
        """Set up a workload's interface, unless that is done."""
        if self.done(endpoint, index):
            return
        settings = list(endpoint_settings(endpoint))
        if sysctl.exists(FORWARDING[6]):
            settings += endpoint_settings6(endpoint)
        if self._write(endpoint.interface, str(endpoint.id), settings):
            self._done[endpoint.interface] = (index, bool(endpoint.allowed_sources))

    def forward(self, versions: Iterable[int]) -> None:
        """Make the namespace a router for these IP versions."""
        for version in sorted(set(versions) - self._forwarding):
            name = FORWARDING[version]
            if self._write(name, name, [Setting(name, "1")]):
                self._forwarding.add(version)

    def _write(self, key: str, subject: str, settings: list[Setting]) -> bool:
        try:
            for setting in settings:
                sysctl.write(setting.name, setting.value)
        except OSError as error:
            self._failures[key] = Failure("routes", subject, str(error))
            return False
        self._failures.pop(key, None)
        return True
