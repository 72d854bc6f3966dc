"""What `nft` lists of rules written as bytes equals what it lists of their text, run by itself."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dataplane.nft_text import transaction_text
from dataplane.programming import between
from strategies.host_programs import with_host_endpoints
from strategies.long_runs import long_runs, many_policies
from strategies.loose_programs import loose_programs
from strategies.programs import ENDPOINTS, HOSTS4
from tortie.dataplane.nftables import NftablesDataplane, NftSettings
from tortie.dataplane.nftables.edits import Edit
from tortie.dataplane.policy.plan import Unit
from tortie.dataplane.policy.settings import Action, HostAction, LogRate, LoopAction
from tortie.engine.delta import Delta, ServiceCidrs
from tortie.linux.libnftables import Nftables
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.net import PortRange, parse_network
from tortie.policy import Program
from tortie.policy.program import Action as RuleAction
from tortie.policy.program import (
    DefaultAction,
    Endpoint,
    Policy,
    PolicyId,
    Rule,
    TierPolicies,
)

pytestmark = pytest.mark.root


class ByText(NftablesDataplane):
    """The driver with libnftables as its pen."""

    def __init__(self, settings: NftSettings | None = None) -> None:
        super().__init__(settings)
        self._nft = Nftables()

    def close(self) -> None:
        self._nft.close()
        super().close()

    def _write(self, units: Sequence[Unit[Edit]]) -> None:
        edits = [edit for unit in units for edit in unit.edits]
        self._nft.run(transaction_text(edits, self._mirrors))
        self._note(edits)


class Pens:
    """Two namespaces in which the same is written by the two ways."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened, self._program = opened, Program()
        self._paths = [self._namespace(name) for name in ("bytes", "text")]
        self._drivers: list[NftablesDataplane] = []
        self.begin(NftSettings())

    def _namespace(self, name: str) -> str:
        unique = f"tl{os.getpid()}{name}"
        self._opened.callback(delete_named, unique)
        return str(create_named(unique))

    def begin(self, settings: NftSettings) -> None:
        """New drivers, and empty firewalls."""
        self.close()
        self._program = Program()
        for path, kind in zip(self._paths, (NftablesDataplane, ByText), strict=True):
            with in_namespace(path):
                subprocess.run(["nft", "flush", "ruleset"], check=True)
                self._drivers.append(kind(settings))

    def close(self) -> None:
        for one in self._drivers:
            one.close()
        self._drivers = []

    def go_to(self, program: Program) -> None:
        delta, self._program = between(self._program, program), program
        self.apply(delta)

    def apply(self, delta: Delta) -> None:
        for one in self._drivers:
            assert one.apply(delta).failed == ()

    def listings(self) -> list[str]:
        return [self._listing(path) for path in self._paths]

    def _listing(self, path: str) -> str:
        with in_namespace(path):
            done = subprocess.run(
                ["nft", "list", "ruleset"], capture_output=True, text=True, check=True
            )
        return in_one_order(with_constants(done.stdout))


_CONSTANT = re.compile(
    r"^\t(?:set|map) (cali-c-_\S+) \{.*?elements = (\{ [^{}]* \})\n\t\}\n\n?", re.M | re.S
)


def with_constants(listing: str) -> str:
    """Named sets of constants put where they are asked, as the text has them."""
    found = dict(_CONSTANT.findall(listing))
    told = _CONSTANT.sub("", listing)
    return re.sub(r"@(cali-c-_[\w-]+)", lambda one: found[one[1]], told)


def in_one_order(listing: str) -> str:
    """A hash table lists its elements in any order, a table its objects in that of their making."""

    def ordered(found: re.Match[str]) -> str:
        return f"{{ {', '.join(sorted(one.strip() for one in found[1].split(',')))} }}"

    tables = re.split(r"^(?=table )", re.sub(r"\{ ([^{}]*) \}", ordered, listing), flags=re.M)
    objects = [re.split(r"^\t(?=set |map |chain )", one, flags=re.M) for one in tables]
    return "\n".join(line.rstrip("}\n\t") for one in objects for line in sorted(one))


@pytest.fixture(scope="module")
def pens() -> Iterator[Pens]:
    with ExitStack() as opened:
        made = Pens(opened)
        opened.callback(made.close)
        yield made


_some = settings(
    max_examples=30, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck)
)


def _same(pens: Pens, program: Program) -> None:
    try:
        pens.go_to(program)
        by_bytes, by_text = pens.listings()
        assert by_bytes == by_text
    except BaseException:
        pens.begin(NftSettings())
        raise


@_some
@given(program=loose_programs() | long_runs() | many_policies())
def test_rules_of_policies_are_listed_alike(pens: Pens, program: Program) -> None:
    _same(pens, program)


@_some
@given(program=with_host_endpoints(loose_programs(), ["eth0", "eth1"], [HOSTS4[7]]))
def test_rules_of_host_endpoints_are_listed_alike(pens: Pens, program: Program) -> None:
    _same(pens, program)


WEB = PolicyId("GlobalNetworkPolicy", "", "web")
LOGGED = Program(
    {
        ENDPOINTS[0]: Endpoint(
            ENDPOINTS[0],
            "cali0",
            (HOSTS4[0],),
            (TierPolicies("default", DefaultAction.DENY, (WEB,)),),
        )
    },
    {WEB: Policy(WEB, "default", tuple(Rule(one, protocol=6) for one in RuleAction))},
)


@pytest.mark.parametrize(
    "settings",
    [
        NftSettings(
            openstack=True,
            nat_ports=PortRange(1000, 2000),
            nat_interface="eth+",
            service_loops=LoopAction.REJECT,
            masquerade_to_hosts=False,
        ),
        NftSettings(
            nat_ports=PortRange(1000, 1000),
            nat_address=parse_network("192.0.2.1"),
            nat_interface="eth0",
            endpoint_to_host=HostAction.ACCEPT,
            interface_prefixes=("cali", "tap"),
        ),
        NftSettings(nat_address=parse_network("2001:db8::1"), drop_invalid=False, mark_mask=0xFF),
        NftSettings(endpoint_to_host=HostAction.RETURN, allow_vxlan=True, allow_ipip=True),
        NftSettings(deny=Action.REJECT, log_rate=LogRate(10, "minute", 20), coalesce=False),
        NftSettings(end_denied_flows=True, wireguard_port=51820),
    ],
)
def test_what_settings_make_is_listed_alike(pens: Pens, settings: NftSettings) -> None:
    nets = tuple(map(parse_network, ("10.96.0.0/12", "192.0.2.7/32", "fd00::/112")))
    try:
        pens.begin(settings)
        pens.go_to(LOGGED)
        pens.apply(replace(Delta(), service_cidrs=ServiceCidrs(cluster=nets)))
        by_bytes, by_text = pens.listings()
        assert by_bytes == by_text
    finally:
        pens.begin(NftSettings())


@given(st.sampled_from(["{ b, a }", "{ 1 . 2, 0 . 1,\n\t\t 4 : jump x }"]))
def test_lists_are_put_in_one_order(text: str) -> None:
    assert in_one_order(text) == in_one_order(in_one_order(text))


def test_other_rules_are_told_apart() -> None:
    one, other = (f"table ip a {{\n\tchain b {{\n\t\t{rule}\n\t}}\n}}" for rule in ("x", "y"))
    assert in_one_order(one) != in_one_order(other)
