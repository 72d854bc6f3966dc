"""The engine: updates in, a delta out.

One `apply` is one round. Everything is taken in first and only then worked out, so that what a
batch says twice, or takes back, costs and says nothing. The order within a round keeps every
reference whole: labels, then matches, then rules, then sets, then endpoints.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from tortie.api import (
    GlobalNetworkPolicy,
    GlobalNetworkSet,
    Key,
    NetworkPolicy,
    NetworkPolicySpec,
    NetworkSet,
    Profile,
    ProfileSpec,
    Resource,
    Rule,
    Tier,
    WorkloadEndpoint,
)
from tortie.api.calico.host_endpoint import HostEndpoint
from tortie.api.kube.endpoint_slice import EndpointSlice
from tortie.engine.delta import (
    Delta,
)
from tortie.engine.floating import Floating
from tortie.engine.here import Customs, local_endpoint, local_host_endpoint
from tortie.engine.items import (
    Item,
    item_of_endpoint,
    item_of_host_endpoint,
    item_of_network_set,
)
from tortie.engine.locals import Local, Locals
from tortie.engine.matches import Matches, entry_of
from tortie.engine.registry import Registry, Round
from tortie.engine.rulebook import Rulebook
from tortie.engine.scopes import policy_scope
from tortie.engine.services import slice_of
from tortie.engine.sets import Sets
from tortie.engine.tiers import Tiers
from tortie.engine.ways import Ways
from tortie.kubernetes.names import INTERFACE_PREFIX
from tortie.net import Prefix
from tortie.policy.program import PolicyId, SetId

_DENY = (Rule(action="Deny"),)


class Engine:
    """The desired state of one node, kept up to date. Not thread-safe; never raises for a value.

    Kinds that it does not know are ignored. A value that can't be lowered fails closed: see
    `tortie.engine.lowering` and `docs/engine.md`. With `spoofing` (WorkloadSourceSpoofing `Any`)
    workloads may send from the other sources that their endpoints name; with `floating`
    (FloatingIPs `Enabled`) they have their floating addresses. `interface_prefix` (InterfacePrefix,
    the first): what the names of this node's pods' interfaces begin with. With `routes_by_workload`
    (RouteSource `WorkloadIPs`) other nodes' workloads are routed to one by one, and blocks of IPAM
    do not count: for clusters whose addresses another IPAM gives out.
    """

    def __init__(
        self,
        node: str,
        *,
        spoofing: bool = False,
        floating: bool = False,
        interface_prefix: str = INTERFACE_PREFIX,
        external_nodes: Iterable[Prefix] = (),
        routes_by_workload: bool = False,
    ) -> None:
        self.node = node
        self._customs = Customs(spoofing, interface_prefix, floating)
        self._spoofers: dict[Key, WorkloadEndpoint] = {}  # local ones that name other sources
        self._floating = Floating(node, allowed=floating)
        self._warnings: dict[str, None] = {}
        self._registry = Registry()
        self._locals = Locals()
        self._matches = Matches()
        self._tiers = Tiers()
        self._rulebook = Rulebook(self._warn)
        self._sets = Sets(self._registry.items)
        self._ways = Ways(node, self._sets, routes_by_workload, self._warn)
        self._policies: dict[PolicyId, NetworkPolicySpec] = {}
        self._profiles: dict[str, ProfileSpec] = {}
        self._edited: set[PolicyId] = set()
        self._came: set[int] = set()  # endpoints that are local as of this round
        self._left: set[int] = set()  # and those that are local no more
        self._ways.accept_tunnels_of(external_nodes)
        self._handlers: dict[str, Callable[[Key, Any], None]] = {
            "Tier": self._tier,
            "Profile": self._profile,
            "NetworkPolicy": self._policy,
            "KubernetesNetworkPolicy": self._policy,
            "GlobalNetworkPolicy": self._policy,
            "KubernetesAdminNetworkPolicy": self._policy,
            "KubernetesBaselineAdminNetworkPolicy": self._policy,
            "KubernetesClusterNetworkPolicy": self._policy,
            "WorkloadEndpoint": self._endpoint,
            "HostEndpoint": self._host_endpoint,
            "EndpointSlice": self._slice,
            "BGPConfiguration": self._ways.bgp,
            "NetworkSet": self._network_set,
            "GlobalNetworkSet": self._network_set,
            "Node": self._ways.node,
            "IPPool": self._ways.pool,
            "IPAMBlock": self._ways.block,
        }

    def apply(self, updates: Iterable[tuple[Key, Resource | None]]) -> Delta:
        """Take in resources by key (None: gone); what that changes on this node.

        Of several values of one key the last counts. The first delta has the fixed sets.
        """
        for key, value in dict(updates).items():
            handler = self._handlers.get(key.kind)
            if handler is not None:
                handler(key, value)
        done = self._registry.flush()
        self._match(done)
        self._lower()
        self._fill(done)
        self._locals.settle(self._matches.moved, self._matches, self._tiers)
        self._matches.moved = set()
        return self._delta()

    def allow_spoofing(self, allowed: bool) -> None:
        """WorkloadSourceSpoofing is now `Any`, or not; the next `apply` tells what that changes."""
        self._customs = self._customs._replace(spoofing=allowed)
        for key, value in list(self._spoofers.items()):
            self._endpoint(key, value)

    def force_tunnels(self, ipip: bool | None, vxlan: bool | None) -> None:
        """IpInIpEnabled and VXLANEnabled: on or off whatever pools ask for; None asks them."""
        self._ways.force_tunnels(ipip, vxlan)

    def accept_tunnels_of(self, nets: Iterable[Prefix]) -> None:
        """ExternalNodesCIDRList: who may send into tunnels beside the nodes of the cluster."""
        self._ways.accept_tunnels_of(nets)

    def allow_floating(self, allowed: bool) -> None:
        """FloatingIPs is now `Enabled`, or not; the next `apply` tells what that changes."""
        self._floating.allowed = allowed
        self._customs = self._customs._replace(floating=allowed)
        for key, value in self._floating.endpoints():
            self._endpoint(key, value)

    def warnings(self) -> list[str]:
        """What could not be read since the last call, each with object and field."""
        found, self._warnings = self._warnings, {}
        return list(found)

    def titles(self) -> dict[SetId, str]:
        """What the sets of policies hold, for people: `Program.titles`. Copies all of them."""
        return self._sets.titles()

    def _warn(self, text: str) -> None:
        self._warnings[text] = None

    # Taking in: one method a kind.

    def _tier(self, key: Key, value: Tier | None) -> None:
        if self._tiers.put(key.name, None if value is None else value.spec):
            self._matches.moved |= self._matches.endpoints_of_tier(key.name)

    def _profile(self, key: Key, value: Profile | None) -> None:
        old = self._profiles.pop(key.name, None)
        new = None if value is None else value.spec
        if new is not None:
            self._profiles[key.name] = new
        if new != old:
            self._registry.inherit(key.name, new.labels_to_apply if new else {})
            if self._locals.names_profile(key.name):
                self._locals.profiles_touched.add(key.name)

    def _policy(self, key: Key, value: NetworkPolicy | GlobalNetworkPolicy | None) -> None:
        name = PolicyId(*key)
        old = self._policies.pop(name, None)
        new = None if value is None else value.spec
        if new == old and new is not None:
            self._policies[name] = new
            return
        self._edited.add(name)
        if new is None:
            self._matches.put(name, None)
            return
        self._policies[name] = new
        self._matches.put(name, entry_of(name, new, policy_scope(name.namespace, new).selector))

    def _endpoint(self, key: Key, value: WorkloadEndpoint | None) -> None:
        item = None if value is None else item_of_endpoint(key, value, self._warn)
        bare = None
        self._spoofers.pop(key, None)
        if key in self._floating or (value is not None and value.spec.ip_nats):
            for name, way in self._floating.put(key, value, item, self._warn):
                self._ways.routes.put_block(name, way)
        if self._ways.by_workload:
            node = "" if value is None else value.spec.node
            self._ways.routes.put_workload(key, node, () if item is None else item.nets)
        if value is not None and item is not None and value.spec.node == self.node:
            if value.spec.allow_spoofed_source_prefixes:
                self._spoofers[key] = value
            bare = local_endpoint(key, value, item, self._customs, self._warn)
        self._place(key, item, bare)

    def _host_endpoint(self, key: Key, value: HostEndpoint | None) -> None:
        item = None if value is None else item_of_host_endpoint(key, value, self._warn)
        bare = None
        if value is not None and item is not None and value.spec.node == self.node:
            bare = local_host_endpoint(key, value, item, self._warn)
        number = self._place(key, item, bare)
        if number is not None and bare is not None:
            self._matches.hosts.add(number)

    def _place(self, key: Key, item: Item | None, bare: Local | None) -> int | None:
        """An endpoint of the cluster and, where it is this node's, what is told of it."""
        number = self._registry.put(key, item)
        if number is None:
            return None
        was_local = number in self._locals
        if not self._locals.put(number, bare):
            return number
        if bare is None:
            self._left.add(number)
        else:
            self._matches.moved.add(number)
            if not was_local:
                self._came.add(number)
        return number

    def _slice(self, key: Key, value: EndpointSlice | None) -> None:
        self._sets.put_slice(key, None if value is None else slice_of(key, value, self._warn))

    def _network_set(self, key: Key, value: NetworkSet | GlobalNetworkSet | None) -> None:
        item = None if value is None else item_of_network_set(key, value, self._warn)
        self._registry.put(key, item)

    # Working out: in this order.

    def _match(self, done: Round) -> None:
        """Local endpoints' labels against policies."""
        labels = {n: found for n, found in done.labels.items() if n in self._locals}
        labels.update((n, self._registry.labels(n)) for n in self._came if n not in labels)
        labels.update(dict.fromkeys(self._left))
        self._matches.relabel(labels)
        self._matches.hosts -= self._left
        self._came, self._left = set(), set()

    def _lower(self) -> None:
        """Rules of policies and profiles that are, or were, of use here."""
        for policy in self._edited | self._matches.woken:
            if self._matches.is_active(policy):
                self._rulebook.put_policy(policy, self._lowerable(policy))
            else:
                self._rulebook.drop_policy(policy)
        for profile in self._locals.profiles_touched:
            if self._locals.names_profile(profile):
                self._rulebook.put_profile(profile, self._profiles.get(profile))
            else:
                self._rulebook.drop_profile(profile)
        self._edited, self._matches.woken = set(), set()
        self._locals.profiles_touched = set()

    def _lowerable(self, name: PolicyId) -> NetworkPolicySpec:
        """The policy itself, or one that denies all where it can't be known whom it is for."""
        spec = self._policies[name]
        if not self._tiers.exists(spec.tier):
            self._warn(f"{name}: spec.tier: there is no tier {spec.tier!r}; it is asked last")
        problems = policy_scope(name.namespace, spec).problems
        for problem in problems:
            self._warn(f"{name}: spec.{problem}; the policy denies everything in its scope")
        if not problems:
            return spec
        return replace(spec, types=spec.directions, ingress=_DENY, egress=_DENY)

    def _fill(self, done: Round) -> None:
        """Sets: what nobody needs goes before members move, what is new comes with all of them."""
        needs = self._rulebook.settle()
        for name in needs.ended:
            self._sets.unwant(name)
        self._sets.update(done)
        for spec in needs.begun:
            self._sets.want(spec)

    def _delta(self) -> Delta:
        sets = self._sets.drain()
        policies, policies_removed = self._rulebook.policies.drain()
        profiles, profiles_removed = self._rulebook.profiles.drain()
        endpoints, endpoints_removed = self._locals.workloads.drain()
        host_endpoints, host_endpoints_removed = self._locals.hosts.drain()
        return replace(
            self._ways.drain(),
            sets=sets.sets,
            members=sets.members,
            sets_removed=sets.removed,
            policies=policies,
            policies_removed=policies_removed,
            profiles=profiles,
            profiles_removed=profiles_removed,
            endpoints=endpoints,
            endpoints_removed=endpoints_removed,
            host_endpoints=host_endpoints,
            host_endpoints_removed=host_endpoints_removed,
        )
