"""Which nodes announce a service of Local policy, by the endpoints that its slices tell of."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.pictures import ALPHA, BETA, cluster, picture, resources
from tortie.api import Key
from tortie.bgp.cluster import Cluster

RANGES = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  serviceClusterIPs: [{cidr: 10.96.0.0/12}, {cidr: "fd96::/108"}]
  serviceExternalIPs: [{cidr: 203.0.113.0/24}]
"""
READY = "{ready: true, serving: true, terminating: false}"
ENDING = "{ready: false, serving: true, terminating: true}"
ENDED = "{ready: false, serving: false, terminating: true}"
UNREADY = "{ready: false, serving: false, terminating: false}"
ODD = "{ready: false, serving: true, terminating: false}"


def service(fields: str = "clusterIP: 10.96.0.7", name: str = "web") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{{fields}, externalTrafficPolicy: Local, ports: [{{port: 80}}]}}
"""


def slice_of(*endpoints: str, name: str = "web", number: int = 1, version: int = 4) -> str:
    return f"""
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-{number}
  namespace: shop
  labels: {{kubernetes.io/service-name: {name}}}
addressType: IPv{version}
endpoints: [{", ".join(endpoints)}]
ports: [{{port: 80}}]
"""


def endpoint(node: str, conditions: str = READY, version: int = 4) -> str:
    address = "10.65.0.9" if version == 4 else '"fd65::9"'
    where = f"nodeName: {node}, " if node else ""
    return f"{{addresses: [{address}], {where}conditions: {conditions}}}"


def singles(*texts: str, node: str = "alpha") -> list[str]:
    """The single addresses that a node announces."""
    found = picture(ALPHA, BETA, RANGES, *texts, node=node)
    both = (*found.family4.services, *found.family6.services)
    return [str(prefix) for prefix in both if prefix.is_single]


@pytest.mark.parametrize(
    ("alphas", "betas", "tellers"),
    [
        (READY, None, "a"),
        (READY, READY, "ab"),
        ("{}", None, "a"),  # what is not said is ready
        ("{serving: true}", None, "a"),
        (UNREADY, None, ""),
        (UNREADY, READY, "b"),
        (ODD, None, ""),  # not ready, and not about to end: as proxies have it
        (ENDING, None, "a"),  # the last ones: as long as they serve
        (ENDING, ENDING, "ab"),
        (ENDING, UNREADY, "a"),
        (ENDING, READY, "b"),  # somebody else is better
        (ENDED, None, ""),
        (ENDED, ENDING, "b"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_the_nodes_that_take_a_services_traffic_announce_it(
    alphas: str, betas: str | None, tellers: str, together: bool
) -> None:
    """In one slice or in several."""
    mine = endpoint("alpha", alphas)
    others = [endpoint("beta", betas)] if betas else []
    if together:
        slices = [slice_of(mine, *others)]
    else:
        slices = [slice_of(mine), *(slice_of(other, number=2) for other in others)]
    for node in ("alpha", "beta"):
        found = singles(service(), *slices, node=node)
        assert found == (["10.96.0.7/32"] if node[0] in tellers else []), node


def test_a_ready_endpoint_counts_beside_ones_here_that_end() -> None:
    ending, ready = endpoint("alpha", ENDING), endpoint("alpha")
    assert singles(service(), slice_of(ending, ready)) == ["10.96.0.7/32"]
    assert singles(service(), slice_of(ending), slice_of(ready, number=2)) == ["10.96.0.7/32"]


def test_endpoints_of_no_node_announce_nothing_and_take_nothing_over() -> None:
    assert singles(service(), slice_of(endpoint(""))) == []
    last = slice_of(endpoint("alpha", ENDING), endpoint(""))
    assert singles(service(), last) == ["10.96.0.7/32"]


def test_each_ip_version_has_endpoints_of_its_own() -> None:
    both = service('clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, "fd96::7"]')
    four, six = slice_of(endpoint("alpha")), slice_of(endpoint("alpha", version=6), version=6)
    assert singles(both, four) == ["10.96.0.7/32"]
    assert singles(both, six) == ["fd96::7/128"]
    assert singles(both, four, six.replace("web-1", "web-2")) == ["10.96.0.7/32", "fd96::7/128"]
    other_sort = slice_of(endpoint("alpha"), version=4).replace("IPv4", "FQDN")
    assert singles(both, other_sort.replace("10.65.0.9", "x.example")) == []


def test_a_slice_is_of_the_service_in_its_own_namespace() -> None:
    elsewhere = slice_of(endpoint("alpha")).replace("namespace: shop", "namespace: yard")
    nobodys = slice_of(endpoint("alpha")).replace("kubernetes.io/service-name", "x")
    assert singles(service(), elsewhere) == singles(service(), nobodys) == []
    assert singles(service(), service(name="other"), slice_of(endpoint("alpha"), name="other")) == [
        "10.96.0.7/32"
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("clusterIP: 10.96.0.7, externalIPs: [203.0.113.7]", True),
        ('clusterIP: "", externalIPs: [203.0.113.7]', False),
        ('clusterIP: "None", clusterIPs: ["None"], externalIPs: [203.0.113.7]', False),
        ("type: ExternalName, externalIPs: [203.0.113.7]", False),
        ("type: ExternalName, clusterIP: 10.96.0.7, externalIPs: [203.0.113.7]", False),
    ],
)
def test_what_no_proxy_takes_is_not_announced(fields: str, told: bool) -> None:
    """A headless service, or a name for something outside, whatever its other addresses."""
    found = singles(service(fields), slice_of(endpoint("alpha")))
    assert found == (["10.96.0.7/32", "203.0.113.7/32"] if told else [])


def put(known: Cluster, *texts: str) -> list[bool]:
    return [known.put(each.key, each) for each in resources(*texts)]


def test_only_what_may_change_this_nodes_announcements_is_a_change() -> None:
    known = cluster(ALPHA, BETA, RANGES, service(), service(name="other"))
    assert put(known, slice_of(endpoint("beta"))) == [False]
    assert put(known, slice_of(endpoint("alpha", ENDING), number=2)) == [True]
    assert put(known, slice_of(endpoint("beta", UNREADY))) == [True]  # now we are the last
    assert put(known, slice_of(endpoint("beta"), name="other")) == [False]
    assert put(known, slice_of(endpoint("beta"))) == [True]
    assert put(known, slice_of(endpoint("beta"), endpoint("beta"))) == [False]
    assert known.put(Key("EndpointSlice", "shop", "web-1"), None)
    assert put(known, slice_of(endpoint("alpha", ENDED), number=2)) == [True]
    assert put(known, slice_of(endpoint("beta"))) == [False]
    nobodys = slice_of(endpoint("alpha")).replace("kubernetes.io/service-name", "x")
    assert put(known, nobodys) == [False]


CONDITIONS = ("", READY, ENDING, ENDED, UNREADY)
STATES = [
    (number, service, alpha, beta)
    for number, service, alpha, beta in product((1, 2), ("web", "other"), CONDITIONS, CONDITIONS)
]


@given(st.lists(st.sampled_from(STATES), max_size=12))
def test_what_is_announced_follows_from_the_last_of_each_slice(
    steps: list[tuple[int, str, str, str]],
) -> None:
    """However it came about; and what is said to change nothing changes nothing."""
    known = cluster(ALPHA, BETA, RANGES, service())
    before, last = known.backing.services(), {}
    for number, name, alpha, beta in steps:
        there = [endpoint(node, now) for node, now in (("alpha", alpha), ("beta", beta)) if now]
        (last[number, name],) = resources(slice_of(*there, name=name, number=number))
        changed = known.put(last[number, name].key, last[number, name])
        after = known.backing.services()
        assert changed or after == before
        before = after
    anew = cluster(ALPHA, BETA)
    for each in last.values():
        anew.put(each.key, each)
    assert anew.backing.services() == before
