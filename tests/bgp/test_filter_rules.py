"""What a BGPFilter's rules match: BIRD itself is asked, route by route, and a plain model is.

This BIRD has no protocols: it only reckons expressions, in which the route's values stand.
"""

import asyncio
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.network import BIRD, until
from tortie.api.calico.bgp_filter import BGPFilter
from tortie.bgp.control import BirdControl
from tortie.bgp.filter_text import filter_functions
from tortie.bgp.filters import filters_named
from tortie.net import Prefix, parse_network

pytestmark = pytest.mark.skipif(BIRD is None, reason="BIRD 2 is not installed (Debian: bird2)")


class Route(NamedTuple):
    """What rules look at."""

    net: str
    from_peer: bool
    interface: str
    inside: bool
    path: tuple[int, ...]
    communities: tuple[str, ...]
    metric: int


class Asked:
    """A BIRD, and one connection to it."""

    def __init__(self, folder: Path) -> None:
        (folder / "bird.conf").write_text("router id 10.0.0.1;\nprotocol device { }\n")
        assert BIRD is not None
        command = [BIRD, "-f", "-c", "bird.conf", "-s", "bird.ctl"]
        self._process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        until(lambda: (folder / "bird.ctl").exists())
        self._runner = asyncio.Runner()
        self._control = self._runner.run(BirdControl.open(str(folder / "bird.ctl")))

    def is_true(self, expression: str) -> bool:
        """Whether BIRD says so."""
        reply = self._runner.run(self._control.ask(f"eval {expression}"))
        assert not reply.failed, (expression, reply)
        said = str(reply).strip()
        assert said in ("TRUE", "FALSE"), (expression, said)
        return said == "TRUE"

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._runner.close()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def bird() -> Iterator[Asked]:
    """A BIRD that reckons."""
    with tempfile.TemporaryDirectory() as folder:
        found = Asked(Path(folder))
        yield found
        found.close()


def condition(rule: dict[str, Any]) -> str:
    """The condition of a rule in BIRD's text; the rule must be a right one."""
    spec = {"importV4": [{"action": "Accept", **rule}]}
    made = msgspec.convert({"metadata": {"name": "one"}, "spec": spec}, BGPFilter)
    filters, problems = filters_named(["one"], {"one": made})
    assert not problems
    (text,) = re.findall(r"  if (.*) then \{", "\n".join(filter_functions(filters)))
    return str(text)


def with_values(text: str, route: Route) -> str:
    """A condition with a route's values in the places of their names."""
    path = "+empty+"
    for number in reversed(route.path):
        path = f"prepend({path}, {number})"
    lists = {2: "-empty-", 3: "---empty---"}
    for each in route.communities:
        parts = each.split(":")
        lists[len(parts)] = f"add({lists[len(parts)]}, ({', '.join(parts)}))"
    values = {
        "source = RTS_BGP": str(route.from_peer).lower(),
        "inside": str(route.inside).lower(),
        "bgp_path": path,
        "bgp_community": lists[2],
        "bgp_large_community": lists[3],
        r"defined\(\w+\)": "true",
        "ifname": f'"{route.interface}"',
        "krt_metric": str(route.metric),
        "net": route.net,
    }
    for name, value in values.items():
        text = re.sub(rf"(?<!\w){name}(?!\w)", value, text)
    return text


def matches(rule: dict[str, Any], route: Route) -> bool:
    """The model: what the API says of each field; all that is given must hold."""
    found = [True]
    if "cidr" in rule:
        found.append(net_matches(rule, parse_network(route.net)))
    if "source" in rule:
        found.append(route.from_peer)
    if "interface" in rule:
        found.append(fnmatchcase(route.interface, rule["interface"]))
    if "peerType" in rule:
        found.append(route.inside is (rule["peerType"] == "iBGP"))
    if "communities" in rule:
        found.append(rule["communities"]["values"][0] in route.communities)
    if "asPathPrefix" in rule:
        wanted = tuple(rule["asPathPrefix"])
        found.append(route.path[: len(wanted)] == wanted)
    if "priority" in rule:
        found.append(route.metric == rule["priority"])
    return all(found)


def net_matches(rule: dict[str, Any], net: Prefix) -> bool:
    cidr, lengths = parse_network(rule["cidr"]), rule.get("prefixLength", {})
    within = lengths.get("min", 0) <= net.length <= lengths.get("max", 32)
    if rule["matchOperator"].endswith("In"):
        found = cidr.contains(net) and within
    else:
        found = cidr == net and within
    return found is not rule["matchOperator"].startswith("Not")


NETS = ("10.65.0.0/16", "10.65.0.0/24", "10.65.1.0/24", "10.65.1.0/26", "10.0.0.0/8", "0.0.0.0/0")
COMMUNITIES = ("65000:1", "65000:2", "65000:1:2", "65000:1:3")
INTERFACES = ("cali1", "cali22", "eth0")
LENGTHS = st.fixed_dictionaries({}, optional={"min": st.integers(0, 32), "max": st.integers(0, 32)})
PREFIXES = st.fixed_dictionaries(
    {
        "cidr": st.sampled_from(NETS),
        "matchOperator": st.sampled_from(("Equal", "NotEqual", "In", "NotIn")),
    },
    optional={"prefixLength": LENGTHS},
)
NUMBERS = st.sampled_from((65000, 65001))
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "source": st.just("RemotePeers"),
        "interface": st.sampled_from(("cali*", "eth0", "*")),
        "peerType": st.sampled_from(("eBGP", "iBGP")),
        "communities": st.sampled_from(COMMUNITIES).map(lambda one: {"values": [one]}),
        "asPathPrefix": st.lists(NUMBERS, min_size=1, max_size=2),
        "priority": st.sampled_from((1, 1024)),
    },
)
RULES = st.one_of(
    PREFIXES, OTHERS, st.builds(lambda one, other: {**one, **other}, PREFIXES, OTHERS)
)
ROUTES = st.builds(
    Route,
    net=st.sampled_from(NETS),
    from_peer=st.booleans(),
    interface=st.sampled_from(INTERFACES),
    inside=st.booleans(),
    path=st.lists(NUMBERS, max_size=3).map(tuple),
    communities=st.lists(st.sampled_from(COMMUNITIES), max_size=3, unique=True).map(tuple),
    metric=st.sampled_from((1, 1024)),
)


@settings(deadline=None, max_examples=300)
@given(rule=RULES, route=ROUTES)
def test_bird_finds_what_a_rule_matches(bird: Asked, rule: dict[str, Any], route: Route) -> None:
    text = with_values(condition(rule), route)
    assert bird.is_true(text) is matches(rule, route), text


BROKEN: list[dict[str, Any]] = [
    {"action": "Reject", "operations": [{"setPriority": {"value": 7}}]},
    {"cidr": "10.0.0.0/8"},
    {"matchOperator": "In"},
    {"cidr": "fd00::/8", "matchOperator": "In"},
    {"cidr": "10.0.0.0/33", "matchOperator": "In"},
    {"prefixLength": {"min": 8}},
    {"interface": 'a"; b'},
    {"operations": [{}]},
    {"operations": [{"setPriority": {"value": 7}, "addCommunity": {"value": "1:2"}}]},
]


@pytest.mark.parametrize("rule", BROKEN, ids=str)
def test_a_filter_that_can_not_be_understood_lets_nothing_pass(rule: dict[str, Any]) -> None:
    """Nobody has validated it: it was written by another program."""
    spec = {"exportV4": [{"action": "Accept"}], "importV4": [{"action": "Accept", **rule}]}
    made = msgspec.convert({"metadata": {"name": "one"}, "spec": spec}, BGPFilter)
    (found,), (problem,) = filters_named(["one"], {"one": made})
    assert found.closed
    assert problem.where == "BGPFilter(one)"
    assert "spec.importV4[0]: " in problem.message
    text = "\n".join(filter_functions((found,)))
    assert text.count("\n  reject;\n") == 4
    assert "accept" not in text
