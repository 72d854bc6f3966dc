"""Kernel settings that workloads' interfaces need: as data, written, and put right.

Of forwarding, rp_filter, proxy_arp and proxy_ndp the kernel tells who listens that they changed. Of
route_localnet, accept_ra and proxy_delay it tells nothing: these wait for the timer, or for one of
the others to change with them.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.dataplane.contract import Applied, Failure
from tortie.engine.delta import Delta
from tortie.linux import sysctl
from tortie.linux.netlink.rtnetconf import ALL_INTERFACES, Conf, ConfChange
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


_TOLD = {
    "forwarding": Conf.FORWARDING,
    "rp_filter": Conf.RP_FILTER,
    "proxy_arp": Conf.PROXY,
    "proxy_ndp": Conf.PROXY,
}


class Sysctls:
    """Writes them, and remembers for which interfaces that is done.

    `differs` may be asked from another thread; everything else is the driver's thread's.
    """

    name = "sysctls"
    ports: frozenset[int] = frozenset()  # notifications of these never tell who wrote

    def __init__(self) -> None:
        self._done: dict[str, tuple[int, bool]] = {}
        self._settings: dict[str, list[Setting]] = {}  # as written, by interface
        self._expected: dict[tuple[int, int], dict[Conf, int]] = {}  # by IP version and index
        self._suspects: set[int] = set()
        self._routed: set[int] = set()  # the IP versions that the namespace routes
        self._forwarding: set[int] = set()  # of these, those for which that is written
        self._failures: dict[str, Failure] = {}
        self.written = 0  # that others had changed

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
        self._expected.clear()
        self._forwarding.clear()
        self._failures.clear()

    def gone(self, interface: str) -> None:
        """The interface is gone, and what is known of it."""
        index, _ = self._done.pop(interface, (0, False))
        for version in (4, 6):
            self._expected.pop((version, index), None)
        self._settings.pop(interface, None)
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
            self._settings[endpoint.interface] = settings
            self._expect(index, settings)

    def forward(self, versions: Iterable[int]) -> None:
        """Make the namespace a router for these IP versions, and for those of before."""
        self._routed.update(versions)
        for version in sorted(self._routed - self._forwarding):
            name = FORWARDING[version]
            if self._write(name, name, [Setting(name, "1")]):
                self._forwarding.add(version)
                self._expected[version, ALL_INTERFACES] = {Conf.FORWARDING: 1}

    def differs(self, change: ConfChange) -> bool:
        """Whether somebody else changed what was written; it is looked at by the next `resync`.

        What the kernel tells of an interface before that is set up is no change of anybody's.
        """
        expected = self._expected.get((change.version, change.link), {})
        is_other = any(expected.get(kind, value) != value for kind, value in change.values.items())
        if is_other:
            self._suspects.add(change.link)
        return is_other

    def fold(self, delta: Delta) -> None:
        """Endpoints are the routes' business, which set up interfaces before they lead there."""

    def apply(self, delta: Delta) -> Applied:
        """Nothing: see `fold`."""
        self.fold(delta)
        return Applied()

    def resync(self) -> Applied:
        """Put right what is known to be changed; a timer's look at all is the routes' business."""
        failed: list[Failure] = []
        while self._suspects:
            index = self._suspects.pop()
            if index == ALL_INTERFACES:
                for version in self._forwarding:
                    failed += self._restore(str(version), [Setting(FORWARDING[version], "1")])
            for interface, (held, _) in self._done.items():
                if held == index:
                    failed += self._restore(interface, self._settings[interface])
        return Applied(tuple(failed))

    def _restore(self, subject: str, settings: list[Setting]) -> Iterator[Failure]:
        for setting in settings:
            try:
                self.written += sysctl.write(setting.name, setting.value)
            except OSError as error:
                yield Failure(self.name, subject, str(error))

    def _expect(self, index: int, settings: list[Setting]) -> None:
        found: dict[int, dict[Conf, int]] = {}
        for name, value in settings:
            version, key = (6 if "/ipv6/" in name else 4), name.rpartition("/")[2]
            if key in _TOLD and "/conf/" in name:
                found.setdefault(version, {})[_TOLD[key]] = int(value)
        for version, values in found.items():
            self._expected[version, index] = values

    def _write(self, key: str, subject: str, settings: list[Setting]) -> bool:
        try:
            for setting in settings:
                sysctl.write(setting.name, setting.value)
        except OSError as error:
            self._failures[key] = Failure("routes", subject, str(error))
            return False
        self._failures.pop(key, None)
        return True
