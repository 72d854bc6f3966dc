"""`tortie status`: the whole cluster on one screen, and what to do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from strategies.command_line import Tortie, Write
from tortie.datastore.settings import SqliteSettings
from tortie.reports import Report, opened_shelf

NODES = """
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node-1}
spec: {bgp: {ipv4Address: 172.16.1.1/24}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node-2}
spec: {bgp: {ipv4Address: 172.16.1.2/24}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.65.0.0/16}
"""


def say(folder: Path, *reports: Report, ago: float = 1.0) -> None:
    """Put reports where an agent with the command's datastore does."""

    async def put() -> None:
        settings = SqliteSettings(path=str(folder / "store.db"))
        async with opened_shelf(settings) as shelf:
            for one in reports:
                await shelf.put(one.stamped(datetime.now(UTC) - timedelta(seconds=ago), 90))

    asyncio.run(put())


def agent(node: str, **more) -> Report:
    facts = {"endpoints": 4, "policies": 2}
    return Report(node=node, component="agent", version="1.0", ready=True, facts=facts, **more)


def test_a_cluster_that_is_well_ends_with_0(tortie: Tortie, write: Write, tmp_path: Path):
    tortie("apply", "-f", write("nodes.yaml", NODES))
    say(tmp_path, agent("node-1"), agent("node-2"))
    said = tortie("status")
    assert said.status == 0
    assert "agents     2 of 2 nodes ready" in said.out
    assert "pods  10.65.0.0/16, 0 in use" in said.out
    assert said.out.endswith("nothing is wrong\n")


def test_what_is_wrong_is_told_with_what_to_do(tortie: Tortie, write: Write, tmp_path: Path):
    tortie("apply", "-f", write("nodes.yaml", NODES))
    say(tmp_path, agent("node-1"), ago=1000)
    said = tortie("status")
    assert said.status == 1
    assert "node-1   silent" in said.out
    assert "node-2: its agent has never reported; start `tortie agent` there" in said.out
    assert max(map(len, said.out.splitlines()[1:])) <= 80  # the first is the path of a test


def test_machines_read_the_same(tortie: Tortie, write: Write, tmp_path: Path):
    tortie("apply", "-f", write("nodes.yaml", NODES))
    say(tmp_path, agent("node-1"), agent("node-2", failures=("routes: 10.0.0.0/26: no room",)))
    said = tortie("status", "-o", "json")
    shown = json.loads(said.out)
    assert (said.status, shown["healthy"]) == (1, False)
    assert [one["agent"] for one in shown["nodes"]] == ["ready", "ready"]
    assert shown["pools"] == [
        {"name": "pods", "cidr": "10.65.0.0/16", "disabled": False, "inUse": 0, "capacity": 65536}
    ]
    assert [one["what"] for one in shown["problems"]] == ["routes: 10.0.0.0/26: no room"]


def test_a_locked_datastore_is_told(tortie: Tortie, write: Write, tmp_path: Path):
    tortie("apply", "-f", write("nodes.yaml", NODES))
    say(tmp_path, agent("node-1"), agent("node-2"))
    assert tortie("datastore", "migrate", "lock").status == 0
    said = tortie("status")
    assert (said.status, "datastore: it is locked" in said.out) == (1, True)


def test_no_datastore_is_no_traceback(tortie: Tortie):
    said = tortie("status")
    assert said.status == 1
    assert "there is no datastore" in said.err
