"""Random clusters: resources as the engine gets them, and histories that lead to them.

Names, labels and addresses come from small pools, so that selectors match, addresses are shared
and taken over, and profiles and tiers are often missing.
"""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import strategies as st

from tortie.api import (
    AllocationAttribute,
    EndpointPort,
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    GlobalNetworkSet,
    IcmpFields,
    IPAMBlock,
    IPAMBlockSpec,
    IPPool,
    IPPoolSpec,
    Key,
    NetworkPolicy,
    NetworkPolicySpec,
    NetworkSet,
    NetworkSetSpec,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    Profile,
    ProfileSpec,
    Resource,
    Rule,
    ServiceAccountMatch,
    ServiceMatch,
    Tier,
    TierSpec,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.bgp_configuration import (
    BGPConfiguration,
    BGPConfigurationSpec,
    ServiceBlock,
)
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointPort, HostEndpointSpec
from tortie.api.calico.node import NodeStatus, NodeWireguard
from tortie.api.calico.rule import HttpMatch
from tortie.api.calico.workload_endpoint import IPNat, QosControls
from tortie.api.kube.endpoint_slice import EndpointSlice, EndpointSlicePort, ServiceEndpoint

NODES = ["n1", "n2", "n3"]
NAMESPACES = ["a", "b"]
ACCOUNTS = ["sa1", "sa2"]
TIERS = ["first", "second", "default"]
ADDRESSES = [*(f"10.65.0.{n}" for n in range(1, 7)), "fd00:65::1", "fd00:65::2"]
NETS = ["10.65.0.0/30", "10.65.0.4/31", "0.0.0.0/1", "198.51.100.0/24", "10.65.0.3"]
PORT_NAMES = ["http", "dns"]
PORTS = [53, 80, 81]
SERVICES = ["s1", "s2"]

SELECTORS = [
    "all()",
    "app == 'web'",
    "app == 'db'",
    "app != 'web'",
    "has(app)",
    "!has(app)",
    "app in {'web', 'db'}",
    "app == 'web' || role == 'x'",
    "has(app) && role != 'x'",
    "projectcalico.org/serviceaccount == 'sa1'",
    "pcns.team == 'red'",
]
NAMESPACE_SELECTORS = ["all()", "team == 'red'", "team != 'red'", "has(team)", "!has(team)"]
BROKEN = ["app ==", "global()", "(("]


def some(*values: object) -> st.SearchStrategy:
    """One of the values, or mostly nothing (the field's empty value comes first)."""
    return st.sampled_from([values[0], values[0], values[0], *values[1:]])


labels = st.fixed_dictionaries(
    {},
    optional={
        "app": st.sampled_from(["web", "db"]),
        "role": st.sampled_from(["x", "y"]),
    },
)


@st.composite
def endpoints(draw: st.DrawFn, on: list[str] = NODES[:2]) -> WorkloadEndpoint:
    namespace = draw(st.sampled_from(NAMESPACES))
    account = draw(some("", *ACCOUNTS))
    profiles = [f"kns.{namespace}", *([f"ksa.{namespace}.{account}"] if account else [])]
    ports = st.builds(
        EndpointPort,
        name=st.sampled_from(PORT_NAMES),
        protocol=st.sampled_from(["TCP", "UDP"]),
        port=st.sampled_from(PORTS),
    )
    return WorkloadEndpoint(
        metadata=ObjectMeta(
            name=f"w{draw(st.integers(0, 3))}", namespace=namespace, labels=draw(labels)
        ),
        spec=WorkloadEndpointSpec(
            node=draw(st.sampled_from(on)),
            orchestrator="k8s",
            service_account_name=account,
            ip_networks=tuple(
                draw(
                    st.lists(
                        st.sampled_from(ADDRESSES),
                        min_size=draw(some(1, 0)),
                        max_size=2,
                        unique=True,
                    )
                )
            ),
            profiles=tuple(draw(some(profiles, profiles[:1], []))),
            interface_name=draw(st.sampled_from(["cali1", "cali2", "cali3", "cali4"])),
            ports=tuple(draw(st.lists(ports, max_size=2))),
            ip_nats=draw(some((), (IPNat(internal_ip="10.65.0.1", external_ip="192.0.2.1"),))),
            qos_controls=draw(some(None, QosControls(ingress_bandwidth=1000))),
            allow_spoofed_source_prefixes=draw(some((), ("10.65.0.0/30",))),
        ),
    )


@st.composite
def host_endpoints(draw: st.DrawFn, on: list[str] = NODES[:2]) -> HostEndpoint:
    ports = st.builds(
        HostEndpointPort,
        name=st.sampled_from(PORT_NAMES),
        protocol=st.sampled_from(["TCP", "UDP"]),
        port=st.sampled_from(PORTS),
    )
    addresses = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)
    return HostEndpoint(
        metadata=ObjectMeta(name=draw(st.sampled_from(["h1", "h2"])), labels=draw(labels)),
        spec=HostEndpointSpec(
            node=draw(st.sampled_from(on)),
            interface_name=draw(st.sampled_from(["eth0", "eth1", "*"])),
            expected_ips=tuple(draw(addresses)),
            profiles=draw(st.sampled_from([(), ("kns.a",), ("kns.b",)])),
            ports=tuple(draw(st.lists(ports, max_size=1))),
        ),
    )


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    """Parts of what is behind a few services; two of them may share addresses."""
    version = draw(some("IPv4", "IPv6"))
    pool = [text for text in ADDRESSES if (":" in text) is (version == "IPv6")]
    backends = st.builds(ServiceEndpoint, addresses=st.sampled_from(pool).map(lambda a: (a,)))
    ports = st.builds(
        EndpointSlicePort,
        name=st.just("p"),
        protocol=st.sampled_from(["", "TCP", "UDP"]),
        port=st.sampled_from(PORTS),
    )
    service = draw(some("s1", "s2", ""))
    return EndpointSlice(
        metadata=ObjectMeta(
            name=draw(st.sampled_from(["x", "y"])),
            namespace=draw(st.sampled_from(NAMESPACES)),
            labels={"kubernetes.io/service-name": service} if service else {},
        ),
        address_type=version,
        endpoints=tuple(draw(st.lists(backends, max_size=3))),
        ports=tuple(draw(st.lists(ports, max_size=2))),
    )


@st.composite
def network_sets(draw: st.DrawFn) -> NetworkSet | GlobalNetworkSet:
    namespace = draw(st.sampled_from(["", *NAMESPACES]))
    metadata = ObjectMeta(name=draw(st.sampled_from(["s1", "s2"])), namespace=namespace)
    metadata = ObjectMeta(name=metadata.name, namespace=namespace, labels=draw(labels))
    nets = st.lists(st.sampled_from(NETS + ADDRESSES), max_size=2)
    spec = NetworkSetSpec(nets=tuple(draw(nets)))
    kind = NetworkSet if namespace else GlobalNetworkSet
    return kind(metadata=metadata, spec=spec)


@st.composite
def entities(draw: st.DrawFn, *, numeric_ports: bool, named_ports: bool, net: str) -> EntityRule:
    ports: list[int | str] = []
    if numeric_ports:
        ports += [80, "80:81", 53]
    if named_ports:
        ports += PORT_NAMES
    port_lists = st.lists(st.sampled_from(ports), min_size=1, max_size=2).map(tuple)
    accounts = [ServiceAccountMatch(names=("sa1",)), ServiceAccountMatch(selector="tier == 'gold'")]
    fields = {
        "selector": st.sampled_from(SELECTORS),
        "not_selector": st.sampled_from(SELECTORS[:6]),
        "namespace_selector": st.sampled_from([*NAMESPACE_SELECTORS, "global()"]),
        "service_accounts": st.sampled_from([*accounts, ServiceAccountMatch()]),
    }
    if net:
        fields["nets"] = st.sampled_from([(net,), (net, "10.65.0.1/32")])
        fields["not_nets"] = st.just((net,))
    if ports:
        fields["ports"] = fields["not_ports"] = port_lists
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True))
    return EntityRule(**{name: draw(fields[name]) for name in chosen})


@st.composite
def served(draw: st.DrawFn) -> EntityRule:
    """The far end as a service, perhaps with named ports."""
    match = ServiceMatch(name=draw(st.sampled_from(SERVICES)), namespace=draw(some("a", "b")))
    return EntityRule(services=match, ports=draw(some((), ("http",))))


@st.composite
def rules(draw: st.DrawFn, direction: str = "ingress") -> Rule:
    protocol = draw(st.sampled_from([None, "TCP", "UDP", "ICMP"]))
    numeric, named = protocol in ("TCP", "UDP"), protocol != "ICMP"
    net = draw(some("", "10.65.0.0/30", "10.65.0.4/31"))
    make = entities(numeric_ports=numeric, named_ports=named, net=net)
    icmp = some(None, IcmpFields(type=8), IcmpFields(type=8, code=0))
    ends = {"source": draw(st.none() | make), "destination": draw(st.none() | make)}
    if named and not draw(st.integers(0, 3)):
        ends["source" if direction == "ingress" else "destination"] = draw(served())
    action = draw(st.sampled_from(["Allow", "Allow", "Deny", "Pass", "Log"]))
    requests = draw(some(None, None, HttpMatch(methods=("GET",))))
    return Rule(
        action=action,
        http=requests if (action, direction) == ("Allow", "ingress") else None,
        ip_version=draw(some(None, 4)),
        protocol=protocol,
        not_protocol=draw(some(None, "UDP")) if protocol is None else None,
        icmp=draw(icmp) if protocol == "ICMP" else None,
        not_icmp=draw(icmp) if protocol == "ICMP" else None,
        **ends,
    )


@st.composite
def broken_rules(draw: st.DrawFn) -> Rule:
    """Rules that no validation would let through, but a datastore may hold."""
    wrong = draw(
        st.sampled_from(
            [
                EntityRule(selector=BROKEN[0]),
                EntityRule(not_selector=BROKEN[1]),
                EntityRule(namespace_selector="global() && has(x)"),
                EntityRule(nets=("10.0.0.0/33",)),
                EntityRule(nets=("10.0.0.0/8", "fd00::/8")),
                EntityRule(services=ServiceMatch(name="s")),
                EntityRule(ports=("90:80",)),
            ]
        )
    )
    return Rule(action=draw(st.sampled_from(["Allow", "Deny", "Pass", "Log"])), source=wrong)


RuleLists = Callable[[str], st.SearchStrategy]


def rule_lists(direction: str) -> st.SearchStrategy:
    return st.lists(rules(direction), min_size=1, max_size=2).map(tuple) | st.just(())


def broken_lists(direction: str) -> st.SearchStrategy:
    return st.lists(broken_rules() | rules(direction), max_size=2).map(tuple)


@st.composite
def policies(draw: st.DrawFn, rule_lists: RuleLists = rule_lists) -> NetworkPolicy:
    """A NetworkPolicy, or (as the value of such a key) what a Kubernetes one becomes."""
    return NetworkPolicy(
        metadata=ObjectMeta(
            name=draw(st.sampled_from(["p1", "p2"])), namespace=draw(st.sampled_from(NAMESPACES))
        ),
        spec=NetworkPolicySpec(**draw(_policy_fields(rule_lists))),
    )


@st.composite
def global_policies(draw: st.DrawFn, rule_lists: RuleLists = rule_lists) -> GlobalNetworkPolicy:
    return GlobalNetworkPolicy(
        metadata=ObjectMeta(name=draw(st.sampled_from(["g1", "g2"]))),
        spec=GlobalNetworkPolicySpec(
            **draw(_policy_fields(rule_lists)),
            namespace_selector=draw(some("", *NAMESPACE_SELECTORS)),
            **draw(
                some(
                    {},
                    {"apply_on_forward": True},
                    {"do_not_track": True, "apply_on_forward": True},
                    {"pre_dnat": True, "apply_on_forward": True},
                )
            ),
        ),
    )


def _policy_fields(rule_lists: RuleLists) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries(
        {
            "tier": st.sampled_from([*TIERS, "missing"]),
            "order": st.sampled_from([None, 1.0, 2.0]),
            "ingress": rule_lists("ingress"),
            "egress": rule_lists("egress"),
            "selector": some("", *SELECTORS),
            "types": st.sampled_from([(), ("Ingress",), ("Egress",), ("Ingress", "Egress")]),
            "service_account_selector": some("", "tier == 'gold'", "all()"),
        }
    )


@st.composite
def tiers(draw: st.DrawFn) -> Tier:
    return Tier(
        metadata=ObjectMeta(name=draw(st.sampled_from(TIERS[:2]))),
        spec=TierSpec(
            order=draw(st.sampled_from([None, 1.0, 2.0])),
            default_action=draw(st.sampled_from(["Deny", "Pass"])),
        ),
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    names = [f"kns.{ns}" for ns in NAMESPACES]
    names += [f"ksa.{ns}.{account}" for ns in NAMESPACES for account in ACCOUNTS]
    name = draw(st.sampled_from(names))
    prefix, key, values = (
        ("pcns.", "team", ["red", "blue"])
        if name.startswith("kns.")
        else ("pcsa.", "tier", ["gold", "tin"])
    )
    applied = draw(some({}, *({prefix + key: value} for value in values)))
    allow = (Rule(action="Allow"),)
    rules_ = draw(st.sampled_from([allow, allow, ()])) if prefix == "pcns." else ()
    return Profile(
        metadata=ObjectMeta(name=name),
        spec=ProfileSpec(ingress=rules_, egress=rules_, labels_to_apply=applied),
    )


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    number = draw(st.integers(0, 2))
    subnet = draw(st.sampled_from([1, 1, 2]))
    return Node(
        metadata=ObjectMeta(name=NODES[number]),
        spec=NodeSpec(
            bgp=draw(
                st.sampled_from(
                    [
                        NodeBgp(
                            ipv4_address=f"172.16.{subnet}.{number}/24",
                            ipv6_address=f"fd00:{subnet}::{number}/64",
                            ipv4_ipip_tunnel_addr=f"10.65.{number}.1",
                        ),
                        NodeBgp(ipv4_address=f"172.16.{subnet}.{number}/24"),
                        None,
                    ]
                )
            ),
            ipv4_vxlan_tunnel_addr=draw(st.sampled_from([f"10.65.{number}.0", ""])),
            ipv6_vxlan_tunnel_addr=draw(st.sampled_from([f"fd00:65::{number}", ""])),
            wireguard=draw(some(None, NodeWireguard(interface_ipv4_address="10.65.9.9"))),
        ),
        status=draw(some(None, NodeStatus(wireguard_public_key="A" * 43 + "="))),
    )


@st.composite
def pools(draw: st.DrawFn) -> IPPool:
    known = [("p16", "10.65.0.0/16"), ("p24", "10.65.1.0/24"), ("p6", "fd00:65::/64")]
    name, cidr = draw(st.sampled_from([*known, ("again", "10.65.1.0/24")]))
    mode = draw(st.sampled_from(["", "Never", "Always", "CrossSubnet"]))
    tunnel = "vxlan_mode" if ":" in cidr else draw(st.sampled_from(["vxlan_mode", "ipip_mode"]))
    return IPPool(
        metadata=ObjectMeta(name=name),
        spec=IPPoolSpec(
            cidr=cidr,
            nat_outgoing=draw(st.booleans()),
            **{tunnel: mode},
        ),
    )


@st.composite
def blocks(draw: st.DrawFn) -> IPAMBlock:
    number = draw(st.integers(0, 2))
    users = tuple(
        AllocationAttribute(handle_id="h", secondary={"node": node} if node else {})
        for node in (*NODES, "")
    )
    allocations = st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=4, max_size=4).map(tuple)
    cidr = draw(some(f"10.65.{number}.0/30", f"fd00:65::{number}:0/126"))
    owner = draw(some("host:n1", "host:n2", "host:n3", "virtual:lb", None))
    return IPAMBlock(
        metadata=ObjectMeta(name=cidr.translate(str.maketrans(".:/", "---"))),
        spec=IPAMBlockSpec(
            cidr=cidr,
            affinity=owner,
            strict_affinity=False,
            allocations=draw(allocations),
            unallocated=(),
            attributes=users,
            deleted=draw(some(False, False, True)),
        ),
    )


def keyed(resource: Resource, kind: str = "") -> tuple[Key, Resource]:
    key = resource.key
    return (key._replace(kind=kind) if kind else key), resource


any_policy = (
    policies().map(keyed)
    | policies().map(lambda policy: keyed(policy, "KubernetesNetworkPolicy"))
    | global_policies().map(keyed)
)
policy_inputs = (
    any_policy
    | endpoints().map(keyed)
    | endpoints().map(keyed)
    | network_sets().map(keyed)
    | profiles().map(keyed)
    | tiers().map(keyed)
    | host_endpoints().map(keyed)
    | slices().map(keyed)
)
broken_inputs = (
    policies(broken_lists).map(keyed)
    | st.sampled_from(BROKEN).map(
        lambda text: keyed(
            NetworkPolicy(
                metadata=ObjectMeta(name="p1", namespace="a"),
                spec=NetworkPolicySpec(selector=text, ingress=(Rule(action="Allow"),)),
            )
        )
    )
    | st.just(
        keyed(
            GlobalNetworkSet(
                metadata=ObjectMeta(name="s1"), spec=NetworkSetSpec(nets=("10.0.0.1", "bad"))
            )
        )
    )
)
bgp_inputs = st.builds(
    lambda name, cidrs: keyed(
        BGPConfiguration(
            metadata=ObjectMeta(name=name), spec=BGPConfigurationSpec(service_cluster_ips=cidrs)
        )
    ),
    some("default", "node.n1"),
    st.sampled_from([(), (ServiceBlock(cidr="10.96.0.0/12"), ServiceBlock(cidr="fd00:96::/112"))]),
)
route_inputs = nodes().map(keyed) | pools().map(keyed) | blocks().map(keyed) | bgp_inputs
inputs = policy_inputs | policy_inputs | route_inputs | broken_inputs

Update = tuple[Key, Resource | None]


def _allow_all(name: str, labels: dict[str, str]) -> Profile:
    allow = (Rule(action="Allow"),)
    spec = ProfileSpec(ingress=allow, egress=allow, labels_to_apply=labels)
    return Profile(metadata=ObjectMeta(name=name), spec=spec)


BASE_PROFILES = [_allow_all("kns.a", {"pcns.team": "red"}), _allow_all("kns.b", {})]


@st.composite
def histories(draw: st.DrawFn, more: st.SearchStrategy = inputs) -> list[list[Update]]:
    """Batches of puts and deletes that leave some local endpoints and policies for them."""
    base = [
        *draw(st.lists(endpoints(NODES[:1]).map(keyed), min_size=1, max_size=3)),
        *draw(st.lists(host_endpoints(NODES[:1]).map(keyed), max_size=1)),
        *draw(st.lists(any_policy, min_size=1, max_size=4)),
        *map(keyed, BASE_PROFILES),
    ]
    others = draw(st.lists(more, max_size=12))
    updates: list[Update] = draw(st.permutations(base + others))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(1, len(updates)))
        gone = draw(st.sampled_from([key for key, _ in updates]))
        updates.insert(at, (gone, None))
    cuts = sorted(draw(st.sets(st.integers(1, len(updates)), max_size=6)))
    edges = [0, *[cut for cut in cuts if cut < len(updates)], len(updates)]
    return [updates[a:b] for a, b in pairwise(edges)]


def final(history: list[list[Update]]) -> dict[Key, Resource]:
    """What a history leaves."""
    latest = {key: value for batch in history for key, value in batch}
    return {key: value for key, value in latest.items() if value is not None}
