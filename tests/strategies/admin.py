"""Clusters with admin policies of both versions, as manifests, and what the API says of them.

The oracle reads the manifests themselves: it knows nothing of tiers, selectors or conversion.
"""

from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from hypothesis import strategies as st

Manifest = dict[str, Any]
V1, V2 = "policy.networking.k8s.io/v1alpha1", "policy.networking.k8s.io/v1alpha2"
NAMESPACES = {"a": {"team": "red"}, "b": {"team": "blue"}, "c": {}}
OUTSIDE = "198.51.100.7"
PROTOCOLS = ["TCP", "UDP", "SCTP"]
PORTS = [53, 80, 81, 90]


class Conn(NamedTuple):
    """A connection between two addresses; port None where the protocol has none."""

    source: str
    destination: str
    protocol: str
    port: int | None


# Clusters.

_label = st.fixed_dictionaries({}, optional={"app": st.sampled_from(["web", "db"])})


@st.composite
def pods(draw: st.DrawFn) -> list[Manifest]:
    """Two to four running pods on node n1."""
    made = []
    for number in range(draw(st.integers(2, 4))):
        port = {
            "name": "http",
            "containerPort": draw(st.sampled_from(PORTS)),
            "protocol": draw(st.sampled_from(PROTOCOLS)),
        }
        meta = {"name": f"p{number}", "namespace": draw(st.sampled_from(sorted(NAMESPACES)))}
        made.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**meta, "labels": draw(_label)},
                "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [port]}]},
                "status": {"phase": "Running", "podIP": f"10.65.0.{number + 1}"},
            }
        )
    return made


def namespaces() -> list[Manifest]:
    """All of them."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in NAMESPACES.items()
    ]


def _selectors(label: str, values: list[str]) -> st.SearchStrategy[Manifest]:
    expression = st.sampled_from(
        [
            {"key": label, "operator": "In", "values": values},
            {"key": label, "operator": "NotIn", "values": values[:1]},
            {"key": label, "operator": "Exists"},
            {"key": label, "operator": "DoesNotExist"},
        ]
    )
    return (
        st.just({})
        | st.sampled_from(values).map(lambda value: {"matchLabels": {label: value}})
        | expression.map(lambda one: {"matchExpressions": [one]})
    )


_namespace_selectors = _selectors("team", ["red", "blue"])
_pod_selectors = _selectors("app", ["web", "db"])
_pods_of = st.fixed_dictionaries(
    {"namespaceSelector": _namespace_selectors, "podSelector": _pod_selectors}
)
_subjects = st.fixed_dictionaries({"namespaces": _namespace_selectors}) | st.fixed_dictionaries(
    {"pods": _pods_of}
)
_unclear = st.sampled_from(
    [
        {},
        {"namespaces": {"matchExpressions": [{"key": "team", "operator": "Is"}]}},
        {
            "pods": {
                "namespaceSelector": {"matchLabels": {"team": "red"}},
                "podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]},
            }
        },
    ]
)
_networks = st.fixed_dictionaries(
    {
        "networks": st.lists(
            st.sampled_from(["10.65.0.0/31", "0.0.0.0/1", "198.51.100.0/24", "fd00::/8"]),
            min_size=1,
            max_size=2,
            unique=True,
        )
    }
)
_unknown = st.sampled_from(
    [{}, {"nodes": {}}, {"domainNames": ["a.example"]}, {"namespaces": {}, "nodes": {}}]
)


def _peers(broken: bool, outward: bool) -> st.SearchStrategy[list[Manifest]]:
    known = _subjects | _networks if outward else _subjects
    one = st.one_of(known, known, known, _unknown if outward else st.just({})) if broken else known
    return st.lists(one, min_size=1, max_size=2)


_span = st.tuples(st.sampled_from(PORTS), st.integers(1, 20)).map(
    lambda pair: {"start": pair[0], "end": pair[0] + pair[1]}
)
_protocol = st.sampled_from(PROTOCOLS)
_v1_port = st.one_of(
    st.builds(
        lambda port, protocol: {"portNumber": {"port": port, "protocol": protocol}},
        st.sampled_from(PORTS),
        _protocol,
    ),
    st.builds(
        lambda span, protocol: {"portRange": {**span, "protocol": protocol}}, _span, _protocol
    ),
)
_v1_named = st.just({"namedPort": "http"})
_v2_port = st.builds(
    lambda protocol, port: {protocol.lower(): {"destinationPort": port}},
    _protocol,
    st.sampled_from(PORTS).map(lambda port: {"number": port}) | _span.map(lambda s: {"range": s}),
)
_v2_named = st.just({"destinationNamedPort": "http"})


@st.composite
def _rule(draw: st.DrawFn, version: str, outward: bool, broken: bool, actions: list[str]):
    peers = draw(_peers(broken, outward))
    field, port, named = (
        ("ports", _v1_port, _v1_named) if version == V1 else ("protocols", _v2_port, _v2_named)
    )
    if not any("networks" in peer or "nodes" in peer or "domainNames" in peer for peer in peers):
        port = port | named  # the API allows names only where all peers are pods
    rule = {"action": draw(st.sampled_from(actions)), "to" if outward else "from": peers}
    if draw(st.booleans()):
        rule[field] = draw(st.lists(port, min_size=1, max_size=2))
    return rule


@st.composite
def admin_policies(draw: st.DrawFn, broken: bool = True) -> Manifest:
    """A policy of one of the three kinds; not `broken`: one that all can be made of."""
    kind = draw(
        st.sampled_from(
            ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy"] + ["ClusterNetworkPolicy"] * 2
        )
    )
    version = V2 if kind == "ClusterNetworkPolicy" else V1
    actions = {
        "AdminNetworkPolicy": ["Allow", "Deny", "Pass"],
        "BaselineAdminNetworkPolicy": ["Allow", "Deny"],
        "ClusterNetworkPolicy": ["Accept", "Deny", "Pass"],
    }[kind]
    subjects = st.one_of(_subjects, _subjects, _subjects, _unclear) if broken else _subjects
    spec: Manifest = {"subject": draw(subjects)}
    for direction, outward in (("ingress", False), ("egress", True)):
        rules = draw(st.lists(_rule(version, outward, broken, actions), max_size=2))
        if rules:
            spec[direction] = rules
    if kind != "BaselineAdminNetworkPolicy":
        spec["priority"] = draw(st.integers(0, 3))
    if kind == "ClusterNetworkPolicy":
        spec["tier"] = draw(st.sampled_from(["Admin", "Baseline"]))
    name = "default" if "Baseline" in kind else draw(st.sampled_from(["x", "y", "z"]))
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


@st.composite
def network_policies(draw: st.DrawFn) -> Manifest:
    """A NetworkPolicy that lets in, or out, pods of its own namespace, or nobody."""
    direction, field = draw(st.sampled_from([("ingress", "from"), ("egress", "to")]))
    rules = draw(st.lists(_pod_selectors, max_size=1))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": draw(st.sampled_from(["n", "m"])), "namespace": draw(_namespace)},
        "spec": {
            "podSelector": draw(_pod_selectors),
            "policyTypes": [direction.capitalize()],
            direction: [{field: [{"podSelector": rule}]} for rule in rules],
        },
    }


_namespace = st.sampled_from(sorted(NAMESPACES))


@st.composite
def connections(draw: st.DrawFn, among: list[Manifest]) -> Conn:
    """From a pod to another or out, or from outside in."""
    addresses = [address_of(pod) for pod in among]
    ends = draw(
        st.lists(st.sampled_from([*addresses, OUTSIDE]), min_size=2, max_size=2, unique=True)
    )
    protocol = draw(st.sampled_from([*PROTOCOLS, "ICMP"]))
    port = None if protocol == "ICMP" else draw(st.sampled_from([*PORTS, 85, 8080]))
    return Conn(*ends, protocol, port)


# What the API says.


def address_of(pod: Manifest) -> str:
    """The pod's address."""
    return pod["status"]["podIP"]


class Oracle:
    """Who may call whom, straight from the manifests."""

    def __init__(self, pods: list[Manifest], policies: list[Manifest]) -> None:
        self.pods = {address_of(pod): pod for pod in pods}
        kinds = [(p, p["kind"], p["spec"].get("tier")) for p in policies]
        self.network = [p for p, kind, _ in kinds if kind == "NetworkPolicy"]
        self.before = [
            in_order(p for p, kind, _ in kinds if kind == "AdminNetworkPolicy"),
            in_order(p for p, _, tier in kinds if tier == "Admin"),
        ]
        self.after = [
            [p for p, kind, _ in kinds if kind == "BaselineAdminNetworkPolicy"],
            in_order(p for p, _, tier in kinds if tier == "Baseline"),
        ]

    def allows(self, conn: Conn) -> bool:
        """Both ends that are pods let it through."""
        return all(
            self._side(direction, self.pods[own], conn)
            for direction, own in (("egress", conn.source), ("ingress", conn.destination))
            if own in self.pods
        )

    def _side(self, direction: str, pod: Manifest, conn: Conn) -> bool:
        verdict = self._first(self.before, direction, pod, conn)
        if verdict is None:
            verdict = self._by_network_policies(direction, pod, conn)
        if verdict is None:
            verdict = self._first(self.after, direction, pod, conn)
        return verdict is not False

    def _first(self, tiers, direction: str, pod: Manifest, conn: Conn) -> bool | None:
        """Of several tiers the first that decides; None where none does."""
        for policies in tiers:
            rules = (
                outcome(rule, exact)
                for policy in policies
                if (exact := covers(policy["spec"]["subject"], pod)) is not None
                for rule in policy["spec"].get(direction, ())
            )
            action = next(
                (a for a, rule in rules if a and (not rule or self._matches(rule, conn))), "Pass"
            )
            if action != "Pass":
                return action == "Allow"
        return None

    def _by_network_policies(self, direction: str, pod: Manifest, conn: Conn) -> bool | None:
        ours = [
            policy
            for policy in self.network
            if direction.capitalize() in policy["spec"]["policyTypes"]
            and policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])
        ]
        if not ours:
            return None
        other = self.pods.get(conn.source if direction == "ingress" else conn.destination)
        peers = [
            peer
            for policy in ours
            for rule in policy["spec"].get(direction, ())
            for peer in rule.get("from", rule.get("to"))
        ]
        return other is not None and any(
            other["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and selects(peer["podSelector"], other["metadata"]["labels"])
            for peer in peers
        )

    def _matches(self, rule: Manifest, conn: Conn) -> bool:
        peers = rule.get("from", rule.get("to"))
        end = conn.source if "from" in rule else conn.destination
        ports = rule.get("ports", rule.get("protocols"))
        return any(self._is(peer, end) for peer in peers) and (
            ports is None or any(self._goes_to(port, conn) for port in ports)
        )

    def _is(self, peer: Manifest, address: str) -> bool:
        if "networks" in peer:
            nets = map(ip_network, peer["networks"])
            return any(ip_address(address) in net for net in nets)
        return address in self.pods and covers(peer, self.pods[address]) is not None

    def _goes_to(self, port: Manifest, conn: Conn) -> bool:
        if "namedPort" in port or "destinationNamedPort" in port:
            pod = self.pods.get(conn.destination)
            return pod is not None and any(
                (each["name"], each["protocol"], each["containerPort"])
                == ("http", conn.protocol, conn.port)
                for each in pod["spec"]["containers"][0]["ports"]
            )
        protocol, first, last = numbers(port)
        return conn.protocol == protocol and conn.port is not None and first <= conn.port <= last


def in_order(policies) -> list[Manifest]:
    """By priority; of equal ones by name."""
    return sorted(policies, key=lambda p: (p["spec"]["priority"], p["metadata"]["name"]))


def outcome(rule: Manifest, exact: bool) -> tuple[str, Manifest]:
    """What the rule does ("" nothing) and the rule to match ({} everything)."""
    action = rule["action"].replace("Accept", "Allow")
    if not all(readable(peer) for peer in rule.get("from", rule.get("to"))):
        return ("" if action == "Allow" else "Deny"), {}
    if not exact:
        return ("" if action == "Allow" else "Deny"), rule
    return action, rule


def readable(peer: Manifest) -> bool:
    """Whether it is a peer that can be known here."""
    return len(peer) == 1 and not peer.keys() & {"nodes", "domainNames"}


def covers(subject: Manifest, pod: Manifest) -> bool | None:
    """Whether the pod is one of them: True, None for no; False where it can't be known."""
    if not subject:
        return False
    pods = subject.get("pods", {})
    namespaces = NAMESPACES[pod["metadata"]["namespace"]]
    parts = [
        (subject.get("namespaces", pods.get("namespaceSelector")), namespaces),
        (pods.get("podSelector", {}), pod["metadata"]["labels"]),
    ]
    if not all(selects(selector, labels) for selector, labels in parts if sound(selector)):
        return None
    return all(sound(selector) for selector, _ in parts)


def sound(selector: Manifest) -> bool:
    """Whether it is a label selector."""
    return all(
        each["operator"] in ("Exists", "DoesNotExist")
        or (each["operator"] in ("In", "NotIn") and bool(each.get("values")))
        for each in selector.get("matchExpressions", ())
    )


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Kubernetes' label selectors."""

    def holds(each: Manifest) -> bool:
        value = labels.get(each["key"])
        return {
            "In": value in each.get("values", ()),
            "NotIn": value not in each.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[each["operator"]]

    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return equal and all(map(holds, selector.get("matchExpressions", ())))


def numbers(port: Manifest) -> tuple[str, int, int]:
    """The protocol, the first and the last port, of either version's form."""
    ((name, value),) = port.items()
    if name == "portNumber":
        return value["protocol"], value["port"], value["port"]
    if name == "portRange":
        return value["protocol"], value["start"], value["end"]
    ports = value["destinationPort"]
    span = ports.get("range") or {"start": ports["number"], "end": ports["number"]}
    return name.upper(), span["start"], span["end"]
