"""What the first node of a cluster writes for all: pools, FelixConfiguration, the cluster's type.

What is there already stays: only what nobody has said is filled in. Any number of nodes start at
once: what another one made meanwhile is as good.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, cast

from msgspec.structs import replace

from tortie.api import IPPool, IPPoolSpec, Key, ObjectMeta, Resource
from tortie.api.calico.cluster_information import ClusterInformation
from tortie.api.calico.felix_configuration import FelixConfiguration, FelixConfigurationSpec
from tortie.datastore import AlreadyExists, Datastore, NotFound, update_with
from tortie.datastore.cluster import CLUSTER, words_of
from tortie.net import Prefix, parse_network
from tortie.node.ranges import Taken, choose
from tortie.node.start_settings import PoolSettings

POOL_NAMES: Mapping[int, str] = {4: "default-ipv4-ippool", 6: "default-ipv6-ippool"}
_TO_HOST: Literal["Return"] = "Return"
_FELIX = FelixConfigurationSpec(reporting_interval="0s", log_severity_screen="Info")
Say = Callable[[str], None]


async def ensure_pools(
    store: Datastore,
    wanted: Mapping[int, PoolSettings],
    kubeadm: Sequence[Prefix],
    taken: Sequence[Taken],
    say: Say,
    warn: Say,
) -> None:
    """A pool of each version of `wanted` that has none. Raises NoRange, ValueError,
    DatastoreError."""
    present = _versions((await store.list("IPPool")).resources)
    for version, settings in wanted.items():
        if version in present:
            continue
        chosen = choose(version, settings.cidr, kubeadm, taken)
        for clash in chosen.clashes:
            warn(clash)
        try:
            await store.create(_pool(version, chosen.network, settings))
            say(f"made the pool {POOL_NAMES[version]}, {chosen.network}: {chosen.reason}")
        except AlreadyExists:
            say(f"another node has made the pool {POOL_NAMES[version]}")


def _versions(pools: Iterable[Resource]) -> set[int]:
    found = set()
    for pool in pools:
        try:
            found.add(parse_network(cast(IPPool, pool).spec.cidr).version)
        except ValueError:  # whoever reads pools for policy tells of it
            continue
    return found


def _pool(version: int, network: Prefix, settings: PoolSettings) -> IPPool:
    spec = IPPoolSpec(
        cidr=str(network),
        ipip_mode=settings.ipip,
        vxlan_mode=settings.vxlan,
        nat_outgoing=settings.nat_outgoing,
        block_size=settings.block_size,
        node_selector=settings.node_selector,
        disable_bgp_export=settings.disable_bgp_export,
    )
    return IPPool(metadata=ObjectMeta(name=POOL_NAMES[version]), spec=spec)


async def ensure_felix(store: Datastore, node: str, has_own: bool) -> None:
    """The settings that a new cluster's agents have: no reports, and logs from Info on.

    `has_own`: this node gets a configuration, too, by which its workloads may speak to it. With the
    Kubernetes API as datastore it gets none, as with Calico. Raises DatastoreError.
    """
    await _fill(store, "default", _FELIX)
    if has_own:
        own = FelixConfigurationSpec(default_endpoint_to_host_action=_TO_HOST)
        await _fill(store, f"node.{node}", own)


async def _fill(store: Datastore, name: str, wanted: FelixConfigurationSpec) -> None:
    blank = FelixConfigurationSpec()

    def filled(current: Resource) -> Resource | None:
        found = cast(FelixConfiguration, current)
        missing = {
            field: getattr(wanted, field)
            for field in FelixConfigurationSpec.__struct_fields__
            if getattr(wanted, field) != getattr(blank, field)
            and getattr(found.spec, field) == getattr(blank, field)
        }
        return replace(found, spec=replace(found.spec, **missing)) if missing else None

    key = Key("FelixConfiguration", "", name)
    try:
        await update_with(store, key, filled)
    except NotFound:
        try:
            metadata = ObjectMeta(name=name)
            await store.create(FelixConfiguration(metadata=metadata, spec=wanted))
        except AlreadyExists:
            await update_with(store, key, filled)


async def ensure_cluster_type(store: Datastore, words: Sequence[str]) -> None:
    """Add what is known of the cluster to `clusterType`. Raises DatastoreError."""

    def with_words(current: Resource) -> Resource | None:
        found = cast(ClusterInformation, current)
        known = words_of(found.spec.cluster_type)
        added = [word for word in dict.fromkeys(words) if word not in known]
        if not added:
            return None
        return replace(found, spec=replace(found.spec, cluster_type=",".join([*known, *added])))

    await update_with(store, CLUSTER, with_words)
