"""How this node's BGP is: BIRD, its sessions and, with --routes, its routes.

Run it on the node, as root. Status 1 where BIRD does not answer or a session is not up.
"""

import argparse
import json
import os
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from tortie.bgp.places import SOCKET
from tortie.cli.asking import ask, run_dir_of
from tortie.cli.terminal import paint, plural, table

_DAEMON = "tortie bgp"
_WIDTH = 80
_TYPES = {"NodeMesh": "mesh", "NodePeer": "node", "GlobalPeer": "global"}
_HEADER = ("PEER", "AS", "TYPE", "STATE", "SINCE", "IN", "OUT")
_ROUTES = ("DESTINATION", "BY", "GATEWAY", "INTERFACE")


def arguments(parser: argparse.ArgumentParser) -> None:
    """How to show it, and whose."""
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--routes", action="store_true", help="show the routes that are known too")
    parser.add_argument("--run-dir", metavar="DIR", help="the daemon's (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Show it."""
    path = os.path.join(run_dir_of(options.run_dir), SOCKET)
    status = ask(path, "status", _DAEMON)
    routes = ask(path, "routes", _DAEMON)["routes"] if options.routes and _runs(status) else []
    if options.output == "json":
        shown = {name: value for name, value in status.items() if name != "ok"}
        print(json.dumps({**shown, "routes": routes} if options.routes else shown, indent=2))
    else:
        print("\n".join(_lines(status, routes, options.routes)))
    up = all(each["state"] == "Established" for each in status["sessions"])
    return 0 if _runs(status) and up else 1


def _runs(status: dict[str, Any]) -> bool:
    return bool(status["bird"]["running"])


def _lines(status: dict[str, Any], routes: list[dict[str, Any]], with_routes: bool) -> list[str]:
    lines = [f"node       {status['node']}", f"bird       {_bird(status['bird'])}"]
    lines.append(f"datastore  {_datastore(status)}")
    lines += ["", *_sessions(status["sessions"])]
    if with_routes:
        lines += ["", *_route_table(routes)]
    if status["problems"]:
        lines += ["", "problems:"]
        for each in status["problems"]:
            lines += wrap(each, _WIDTH - 4, initial_indent="  ", subsequent_indent="    ")
    return lines


def _bird(bird: dict[str, Any]) -> str:
    if not bird["running"]:
        return paint("does not answer", "red") + f": {bird['away']}"
    said = bird["said"]
    times = f"since {said['booted'][:19]}"
    return f"{said['version']}, router id {said['router_id']}, {times}"


def _datastore(status: dict[str, Any]) -> str:
    if status["outage"]:
        return paint("away", "yellow") + f": {status['outage']}; what BIRD was told stays in force"
    return "followed" if status["in_sync"] else "not read yet"


def _sessions(sessions: list[dict[str, Any]]) -> list[str]:
    """A table; under each session that is not up stands why."""
    if not sessions:
        return ["no sessions: nobody is this node's peer"]
    up = sum(each["state"] == "Established" for each in sessions)
    rows = [_row(each) for each in sessions]
    header, *shown = _fitting(_HEADER, rows)
    lines = [f"{up} of {plural(len(sessions), 'session')} up", header]
    for each, line in zip(sessions, shown, strict=True):
        lines += line.splitlines()
        if each["state"] != "Established":
            text = f"{each['from_resource']}: {each['reason']}"
            found = wrap(text, _WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
            lines += [paint(part, "yellow") for part in found]
    return lines


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    port = "" if each["port"] == 179 else f" {each['port']}"
    return (
        each["peer"] + port,
        str(each["peer_as"]),
        _TYPES.get(each["type"], "-"),
        each["state"] or "-",
        each["since"][:19] or "-",
        str(each["imported"]),
        str(each["exported"]),
    )


def _route_table(routes: list[dict[str, Any]]) -> list[str]:
    rows = [
        (
            each["destination"],
            each["source"] or "-",
            ",".join(each["gateways"]) or ("-" if each["kind"] == "unicast" else each["kind"]),
            ",".join(dict.fromkeys(each["interfaces"])) or "-",
        )
        for each in routes
        if each["best"]
    ]
    return _fitting(_ROUTES, rows) if rows else ["no routes"]


def _fitting(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines; where it would be too wide, the first column stands above each row."""
    lines = table(header, rows).splitlines()
    if max(map(len, lines)) <= _WIDTH:
        return lines
    first = [header[0], *(row[0] for row in rows)]
    others = table(header[1:], [row[1:] for row in rows]).splitlines()
    return [f"{name}\n    {line}" for name, line in zip(first, others, strict=True)]
