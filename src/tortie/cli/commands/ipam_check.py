"""Find what does not add up in address management: leaks above all.

tortie ipam check
tortie ipam check --show-problem-ips   each leaked or doubled address, and why
tortie ipam check -o report.json       for `tortie ipam release --from-report`
tortie ipam check -o json              the same report to the standard output
tortie ipam check --kubernetes FILE    with Services, whose API is not the datastore

Status 1 where anything was found. While pods come and go, what was just given or given back can
show up: look again, or lock the datastore.
"""

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli import configuration, datastore
from tortie.cli.addressing import as_json, report, standing_of, text_of
from tortie.cli.errors import UserError
from tortie.cli.terminal import paint, plural

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.ipam.audit import Audit
    from tortie.ipam.records import Records

_TITLES = {
    "leaked": "held, and nobody uses them",
    "unallocated": "used, and held by nobody",
    "doubled": "used by several",
    "no pool": "addresses and blocks of no IPPool",
    "handle": "handles that hold nothing",
    "untold": "addresses that no handle tells of",
    "claim": "claims to blocks that are not so",
    "block": "blocks without a claim",
    "damaged": "damaged blocks",
    "unread": "objects that can't be read",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to print, and where to."""
    parser.add_argument(
        "--show-all-ips", action="store_true", help="every address that is held, and each finding"
    )
    parser.add_argument("--show-problem-ips", action="store_true", help="each finding, and why")
    parser.add_argument("-o", "--output", metavar="FILE", help='a report; "json": to stdout')
    parser.add_argument(
        "--kubernetes",
        metavar="KUBECONFIG",
        help="where the Services are that have load balancers' addresses, beside another datastore",
    )
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Check it. Raises UserError, DatastoreError."""
    import tortie
    from tortie.ipam.audit import audit
    from tortie.ipam.records import read_records

    async def look(store: "Datastore") -> int:
        standing = await standing_of(store)
        records = await read_records(store)
        if options.kubernetes:
            records = await _with_services(records, options.kubernetes)
        found = audit(records)
        data = report(found, tortie.__version__, standing)
        if options.output == "json":
            print(as_json(data))
        else:
            print("\n".join(_lines(records, found, options)))
            if options.output:
                _write(options.output, as_json(data))
        return 1 if found.findings else 0

    if options.kubernetes:
        _check_beside(options)
        return datastore.follow(options, look)  # a network needs an event loop
    return datastore.read_from(options, look)


def _check_beside(options: argparse.Namespace) -> None:
    from tortie.datastore.settings import KubernetesSettings

    if isinstance(configuration.chosen_datastore(options).settings, KubernetesSettings):
        raise UserError(
            "--kubernetes is for another datastore: Kubernetes is this one, leave it out"
        )


async def _with_services(records: "Records", kubeconfig: str) -> "Records":
    from tortie.datastore import open_datastore
    from tortie.datastore.configuration import from_location, settings_of
    from tortie.datastore.configuration.fields import Fields
    from tortie.ipam.beside import with_services

    fields = from_location(f"kubernetes:{kubeconfig}", Fields({}, ""), "--kubernetes")
    store = await open_datastore(settings_of(fields))
    try:
        return await with_services(records, store)
    finally:
        await store.close()


def _lines(records: "Records", found: "Audit", options: argparse.Namespace) -> list[str]:
    used = sum(bool(one.users) for one in found.allocations)
    each = options.show_problem_ips or options.show_all_ips
    lines = [
        f"{plural(len(records.pools), 'pool')}, {plural(len(records.blocks), 'block')},"
        f" {plural(len(records.handles), 'handle')}, {plural(len(records.nodes), 'node')}",
        f"{plural(len(found.allocations), 'address')} held: {used} in use,"
        f" {len(found.leaked)} leaked; {found.cooling} cooling down",
    ]
    if options.show_all_ips:
        lines += [
            f"  {text_of(one.address)}  {', '.join(user.name for user in one.users) or one.leak}"
            for one in found.allocations
        ]
    counts = Counter[str](one.what for one in found.findings)
    for what, title in _TITLES.items():
        if counts[what]:
            lines.append(paint(f"{counts[what]} {title}", "red"))
        if each:
            for one in found.findings:
                if one.what == what:
                    lines += [f"  {one.subject}: {one.why}", f"    do: {one.cure}"]
    if not found.findings:
        lines.append(paint("everything adds up", "green"))
    elif not each:
        lines.append("see each with --show-problem-ips")
    return lines


def _write(path: str, text: str) -> None:
    """Whole or not at all; for its owner only, since it names everything that runs."""
    beside = Path(f"{path}.part")
    beside.unlink(missing_ok=True)
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
