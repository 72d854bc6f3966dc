"""What a workload's interface is set to, and what is put right of it: no kernel."""

import pytest

from tortie.dataplane.routes.sysctls import Sysctls, endpoint_settings, endpoint_settings6
from tortie.linux import sysctl
from tortie.linux.netlink.rtnetconf import ALL_INTERFACES, Conf, ConfChange
from tortie.net import parse_prefix
from tortie.policy.program import Endpoint, EndpointId

A = Endpoint(EndpointId("WorkloadEndpoint", "ns", "a"), "calia", ())
B = Endpoint(EndpointId("WorkloadEndpoint", "ns", "b"), "calib", ())
IPV4 = {
    "net/ipv4/conf/calia/rp_filter": "1",
    "net/ipv4/conf/calia/route_localnet": "1",
    "net/ipv4/conf/calia/proxy_arp": "1",
    "net/ipv4/conf/calia/forwarding": "1",
    "net/ipv4/neigh/calia/proxy_delay": "0",
}
IPV6 = {
    "net/ipv6/conf/calia/accept_ra": "0",
    "net/ipv6/conf/calia/proxy_ndp": "1",
    "net/ipv6/conf/calia/forwarding": "1",
}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What was written, by name."""
    found: dict[str, str] = {}

    def write(name: str, value: str) -> bool:
        is_other = found.get(name) != value
        found[name] = value
        return is_other

    monkeypatch.setattr(sysctl, "write", write)
    monkeypatch.setattr(sysctl, "exists", lambda _: True)
    return found


def test_an_interface_is_set_to_exactly_this() -> None:
    assert dict(endpoint_settings(A)) == IPV4
    assert dict(endpoint_settings6(A)) == IPV6


def test_without_ipv6_only_the_rest_is_written(
    held: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctl, "exists", lambda _: False)
    Sysctls().configure(A, 5)
    assert held == IPV4


@pytest.mark.parametrize(
    ("version", "values", "is_other"),
    [
        (4, {Conf.RP_FILTER: 0}, True),
        (4, {Conf.RP_FILTER: 1, Conf.PROXY: 1, Conf.FORWARDING: 1}, False),
        (4, {Conf.RP_FILTER: 1, Conf.PROXY: 0}, True),
        (6, {Conf.PROXY: 0}, True),
        (6, {Conf.PROXY: 1, Conf.RP_FILTER: 0}, False),  # of IPv6 there is none
        (6, {Conf.FORWARDING: 0}, True),
    ],
)
def test_a_change_by_others_is_put_right_on_that_interface(
    held: dict[str, str], version: int, values: dict[Conf, int], is_other: bool
) -> None:
    sysctls = Sysctls()
    sysctls.configure(A, 5)
    sysctls.configure(B, 6)
    before = dict(held)
    changed = dict.fromkeys(held, "7")
    held.update(changed)
    assert sysctls.differs(ConfChange(version, 5, values)) is is_other
    assert not sysctls.differs(ConfChange(version, 9, values))  # set up by nobody, or not yet
    assert sysctls.resync().failed == ()
    wanted = changed | ({one: before[one] for one in IPV4 | IPV6} if is_other else {})
    assert held == wanted
    assert sysctls.written == (len(IPV4 | IPV6) if is_other else 0)
    assert sysctls.resync().failed == ()
    assert held == wanted  # that was it


@pytest.mark.parametrize("version", [4, 6])
def test_forwarding_is_put_right_for_the_ip_versions_that_are_routed(
    held: dict[str, str], version: int
) -> None:
    sysctls = Sysctls()
    off = ConfChange(version, ALL_INTERFACES, {Conf.FORWARDING: 0})
    assert not sysctls.differs(off)
    sysctls.forward({version})
    [name] = held
    for _ in range(2):
        held[name] = "0"
        assert sysctls.differs(off)
        assert sysctls.resync().failed == ()
        assert held == {name: "1"}
    sysctls.forget()
    held.clear()
    sysctls.forward(())
    assert held == {name: "1"}


def test_what_is_known_of_an_interface_goes_with_it(held: dict[str, str]) -> None:
    sysctls = Sysctls()
    sysctls.configure(A, 5)
    assert sysctls.done(A, 5)
    assert not sysctls.done(A, 6)  # made anew
    loose = Endpoint(A.id, "calia", (), allowed_sources=(parse_prefix("10.9.0.0/24"),))
    assert not sysctls.done(loose, 5)
    sysctls.gone("calia")
    assert not sysctls.done(A, 5)
    for version in (4, 6):
        assert not sysctls.differs(ConfChange(version, 5, {Conf.PROXY: 0}))
    held.clear()
    assert sysctls.resync().failed == ()
    assert held == {}


def test_what_can_not_be_written_is_named_until_it_is(
    held: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sysctls, write = Sysctls(), sysctl.write

    def refuse(name: str, _: str) -> bool:
        raise PermissionError(1, "not permitted", name)

    monkeypatch.setattr(sysctl, "write", refuse)
    sysctls.configure(A, 5)
    [failure] = sysctls.failures
    assert (failure.driver, failure.subject) == ("routes", "ns/a")
    assert not sysctls.done(A, 5)
    monkeypatch.setattr(sysctl, "write", write)
    sysctls.configure(A, 5)
    assert sysctls.failures == ()
    monkeypatch.setattr(sysctl, "write", refuse)
    assert sysctls.differs(ConfChange(4, 5, {Conf.PROXY: 0}))
    failed = sysctls.resync().failed
    assert {(one.driver, one.subject) for one in failed} == {("sysctls", "calia")}
    assert held
