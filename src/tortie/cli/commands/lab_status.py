"""How a lab's nodes and workloads are. Status 1 where a node's agent is not ready."""

import argparse
import asyncio

from tortie.cli.labs import add_name_option, using
from tortie.cli.terminal import paint, table
from tortie.lab.cluster import Lab
from tortie.lab.nodes import NodeStatus
from tortie.lab.pods import ports_of
from tortie.lab.served import name_of_store

_NODE = ("NODE", "ADDRESS", "AGENT", "REVISION", "ENDPOINTS", "POLICIES", "MEMORY")
_STYLES = {"ready": "green", "waiting": "yellow", "down": "red"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which lab, and how to show it."""
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    add_name_option(parser)


def run(options: argparse.Namespace) -> int:
    """Show it."""
    return asyncio.run(_status(options))


async def _status(options: argparse.Namespace) -> int:
    async with using(options.name) as lab:
        statuses = await lab.statuses()
        workloads = await _workloads(lab)
    if options.output == "json":
        _print_json(lab, statuses, workloads)
    else:
        _print_tables(lab, statuses, workloads)
    return 0 if all(status.state == "ready" for status in statuses) else 1


async def _workloads(lab: Lab) -> list[dict[str, str]]:
    pods = await lab.pods()
    return [
        {
            "workload": workload.name,
            "node": workload.node,
            "address": " ".join(workload.addresses),
            "ports": " ".join(map(str, ports_of(pods[name]))) if name in pods else "",
        }
        for name, workload in lab.journal.workloads().items()
    ]


def _print_tables(lab: Lab, statuses: list[NodeStatus], workloads: list[dict[str, str]]) -> None:
    print(table(_NODE, map(_row, statuses)))
    for status in statuses:
        if status.reason:
            print(f"{status.node.name}: {paint(status.reason, _STYLES[status.state])}")
    hosts = [
        {"workload": h.name, "node": "(outside)", "address": h.address_text, "ports": "all"}
        for h in lab.plan.outside
    ]
    rows = (tuple(record.values()) for record in [*workloads, *hosts])
    print("\n" + table(("WORKLOAD", "NODE", "ADDRESS", "PORTS"), rows))
    print(f"\ndatastore: {name_of_store(lab.journal)}\nlogs: {lab.journal.path / 'logs'}")


def _row(status: NodeStatus) -> tuple[str, ...]:
    return (
        status.node.name,
        str(status.node.address),
        status.state,
        str(status.revision),
        str(status.endpoints),
        str(status.policies),
        f"{status.resident / (1 << 20):.0f} MiB",
    )


def _print_json(lab: Lab, statuses: list[NodeStatus], workloads: list[dict[str, str]]) -> None:
    import msgspec

    nodes = [
        {**status._asdict(), "node": status.node.name, "address": str(status.node.address)}
        for status in statuses
    ]
    content = {
        "name": lab.plan.name,
        "datastore": name_of_store(lab.journal),
        "nodes": nodes,
        "workloads": workloads,
    }
    print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
