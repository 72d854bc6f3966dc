"""How the whole cluster is: its nodes, their agents and BGP, its pools, and what is wrong.

Nodes are judged by what their daemons said last (reportingInterval of FelixConfiguration, 30 s).
Status 1 where something is wrong.
"""

import argparse
import json
from datetime import UTC, datetime
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from tortie.cli import configuration, datastore
from tortie.cli.terminal import paint, plural, table

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.reports.findings import Cluster, Finding, NodeState

_WIDTH = 80
_HEADER = ("NODE", "AGENT", "BGP", "ENDPOINTS", "POLICIES", "VERSION", "ADDRESS")
_STYLES = {"ready": "green", "not ready": "yellow", "silent": "red", "unheard": "red"}
_KINDS = (
    "GlobalNetworkPolicy",
    "NetworkPolicy",
    "KubernetesNetworkPolicy",
    "StagedNetworkPolicy",
    "WorkloadEndpoint",
    "HostEndpoint",
)
_NEARLY = 0.95  # of a pool's addresses


class _Found(NamedTuple):
    cluster: "Cluster"
    pools: list[dict[str, Any]]
    findings: list["Finding"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it, and of which cluster."""
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Show it. Raises UserError, DatastoreError."""
    chosen = configuration.chosen_datastore(options)

    async def look(store: "Datastore") -> int:
        found = await _look(store, chosen.settings)
        print(_as_json(found) if options.output == "json" else _as_text(found, chosen.name))
        return 1 if found.findings else 0

    return datastore.look_into(options, look)


async def _look(store: "Datastore", settings: Any) -> _Found:
    from tortie.api import Node
    from tortie.reports import opened_shelf
    from tortie.reports.findings import cluster_of

    nodes = [one for one in (await store.list("Node")).resources if isinstance(one, Node)]
    async with opened_shelf(settings) as shelf:
        reports = await shelf.all()
    cluster = cluster_of(nodes, reports, datetime.now(UTC))
    pools = await _pools(store)
    return _Found(
        cluster,
        pools,
        [*await _of_datastore(store), *cluster.findings, *_of_pools(pools)],
    )


async def _of_datastore(store: "Datastore") -> list["Finding"]:
    from tortie.api.calico.cluster_information import ClusterInformation
    from tortie.datastore import NotFound
    from tortie.datastore.cluster import CLUSTER
    from tortie.reports.findings import Finding

    try:
        found = await store.get(CLUSTER)
    except NotFound:
        return []
    if isinstance(found, ClusterInformation) and found.spec.datastore_ready is False:
        locked = "it is locked: agents go on with what they have, and pods can't start"
        return [Finding("datastore", locked, "`tortie datastore migrate unlock` ends that")]
    return []


async def _pools(store: "Datastore") -> list[dict[str, Any]]:
    from tortie.api import IPPool
    from tortie.ipam.records import read_records
    from tortie.ipam.utilization import utilization

    usage = {one.pool.name: one.pool for one in utilization(await read_records(store))}
    found = []
    for pool in (await store.list("IPPool")).resources:
        if isinstance(pool, IPPool):
            used = usage.get(pool.metadata.name)
            found.append(
                {
                    "name": pool.metadata.name,
                    "cidr": pool.spec.cidr,
                    "disabled": bool(pool.spec.disabled),
                    "inUse": used.in_use if used else 0,
                    "capacity": used.capacity if used else 0,
                }
            )
    return found


def _of_pools(pools: list[dict[str, Any]]) -> list["Finding"]:
    from tortie.reports.findings import Finding

    more = "another pool, or a larger one, gives more addresses"
    return [
        Finding(f"pool {one['name']}", f"{one['inUse']} of {one['capacity']} are in use", more)
        for one in pools
        if one["capacity"] and one["inUse"] >= _NEARLY * one["capacity"]
    ]


def _as_json(found: _Found) -> str:
    return json.dumps(
        {
            "healthy": not found.findings,
            "nodes": [one._asdict() for one in found.cluster.nodes],
            "pools": found.pools,
            "problems": [one._asdict() for one in found.findings],
        },
        indent=2,
    )


def _as_text(found: _Found, name: str) -> str:
    ready = sum(one.agent == "ready" for one in found.cluster.nodes)
    nodes = plural(len(found.cluster.nodes), "node")
    lines = [f"datastore  {name}", f"agents     {ready} of {nodes} ready"]
    lines += [f"pools      {_pool(one)}" for one in found.pools] or ["pools      none"]
    if found.cluster.nodes:
        lines += ["", *_table(found.cluster.nodes)]
    lines += ["", *_problems(found.findings)]
    return "\n".join(lines)


def _pool(one: dict[str, Any]) -> str:
    disabled = ", disabled" if one["disabled"] else ""
    return f"{one['name']}  {one['cidr']}, {one['inUse']} in use{disabled}"


def _table(nodes: tuple["NodeState", ...]) -> list[str]:
    rows = [
        (
            one.name,
            one.agent,
            one.bgp or "-",
            _shown(one.endpoints),
            _shown(one.policies),
            one.version or "-",
            one.address or "-",
        )
        for one in nodes
    ]
    head, *body = table(_HEADER, rows).splitlines()
    return [head, *map(_coloured, body, nodes)]


def _coloured(line: str, node: "NodeState") -> str:
    """The word is painted after columns were measured."""
    at = line.index(node.agent, len(node.name))
    end = at + len(node.agent)
    return line[:at] + paint(node.agent, _STYLES[node.agent]) + line[end:]


def _shown(number: int | None) -> str:
    return "-" if number is None else str(number)


def _problems(findings: list["Finding"]) -> list[str]:
    if not findings:
        return [paint("nothing is wrong", "green")]
    lines = ["problems:"]
    for one in findings:
        said = f"{one.where}: {one.what}" + (f"; {one.advice}" if one.advice else "")
        lines += wrap(said, _WIDTH - 4, initial_indent="  ", subsequent_indent="    ")
    return lines
