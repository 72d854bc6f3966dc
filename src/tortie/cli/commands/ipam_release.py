"""Give back addresses that nobody uses.

tortie ipam release --ip 10.0.0.9
tortie ipam release --from-report report.json [--from-report FILE …]

Of a report's addresses only those go that are leaked still: what was given to somebody since then
stays. Of several reports, only what all of them say is leaked. A pod that starts meanwhile can look
like a leak: lock the datastore first (`tortie datastore migrate lock`), make the report, release,
and unlock it; or say --force. Workloads are not told: an address that a workload has is only
released with --force.
"""

import argparse
from typing import TYPE_CHECKING

from tortie.cli import configuration, datastore
from tortie.cli.addressing import address_of, read_report, standing_of, text_of
from tortie.cli.errors import UserError
from tortie.cli.terminal import plural

if TYPE_CHECKING:
    from tortie.cli.addressing import Reported, Standing
    from tortie.datastore import Datastore
    from tortie.ipam import IPAM
    from tortie.ipam.audit import Audit
    from tortie.ipam.records import Records
    from tortie.ipam.types import ReleaseRequest
    from tortie.net import Prefix


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to release."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ip", metavar="IP", help="one address")
    what.add_argument(
        "--from-report",
        metavar="FILE",
        action="append",
        help="what a report of `tortie ipam check` says is leaked",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also an address in use; also while pods may start",
    )
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Release it. Raises UserError, IpamError, DatastoreError."""
    address = address_of(options.ip) if options.ip else None
    reports = [read_report(path) for path in options.from_report or ()]

    async def work(store: "Datastore") -> int:
        from tortie.ipam.audit import audit
        from tortie.ipam.records import read_records

        records = await read_records(store)
        found = audit(records)
        if address is not None:
            return await _release_one(store, found, address, options.force)
        standing = await standing_of(store)
        for one, path in zip(reports, options.from_report, strict=True):
            if one.cluster != standing.cluster:
                other = f"({one.cluster}, not {standing.cluster})"
                raise UserError(f"{path} is of another cluster {other}")
        if not options.force:
            _check_lock(standing, reports[-1], options.from_report[-1])
        return await _release_reported(store, records, found, reports)

    return datastore.follow(options, work)  # several reads at once


def _check_lock(standing: "Standing", last: "Reported", path: str) -> None:
    """Raise UserError unless nothing can have started since the last report was made."""
    if not standing.locked:
        raise UserError(
            "the datastore is not locked: what a pod that starts just now gets looks like a leak;"
            " `tortie datastore migrate lock`, then check and release, then unlock; or --force"
        )
    if last.lock != standing.revision:
        raise UserError(
            f"{path} was made before the datastore was locked: `tortie ipam check -o` makes another"
        )


async def _release_one(store: "Datastore", found: "Audit", address: "Prefix", force: bool) -> int:
    held = [one for one in found.allocations if one.address == address]
    if not held:
        print(f"IP {text_of(address)} is not currently assigned: nothing to release")
        return 0
    users = " and ".join(user.name for user in held[0].users)
    if users and not force:
        raise UserError(f"IP {text_of(address)} is in use by {users}; --force releases it anyway")
    if not await _ipam(store).release([one.release for one in held]):
        raise UserError(f"IP {text_of(address)} went to somebody else just now: look again")
    print(f"released IP {text_of(address)}")
    return 0


async def _release_reported(
    store: "Datastore", records: "Records", found: "Audit", reports: "list[Reported]"
) -> int:
    """What is leaked by the reports and still is; each as it was then, so that none is too late."""
    leaked = {(one.address, one.sequence) for one in found.leaked}
    in_all = frozenset.intersection(*(frozenset(map(_identity, one.addresses)) for one in reports))
    asked = [one for one in reports[-1].addresses if _identity(one) in in_all]
    still = [one for one in asked if (one.address, one.sequence) in leaked]
    ipam = _ipam(store)
    freed = await ipam.release(still)
    reported = frozenset.intersection(*(one.handles for one in reports))
    empty = reported & set(found.leaked_handles)
    handles = [one for one in records.handles if one.spec.handle_id in empty]
    gone = [await ipam.forget_handle(one) for one in handles]  # unless it holds something by now
    print(f"released {plural(len(freed), 'address')} and {plural(sum(gone), 'handle')}")
    if len(freed) < len(asked):
        print(f"left {plural(len(asked) - len(freed), 'address')} that changed since the report")
    return 0


def _identity(one: "ReleaseRequest") -> tuple["Prefix", int | None]:
    return one.address, one.sequence


def _ipam(store: "Datastore") -> "IPAM":
    """As a person who has locked the datastore to tidy up expects it: the lock does not count."""
    from tortie.ipam import IPAM

    def open_gate(found: object) -> None:
        del found

    return IPAM(store, gate=open_gate)
