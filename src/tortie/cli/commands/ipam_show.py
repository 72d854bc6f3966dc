"""Say how full pools are, or who holds an address.

tortie ipam show
tortie ipam show --show-blocks
tortie ipam show --show-borrowed
tortie ipam show --ip 10.244.118.70
tortie ipam show --show-configuration
"""

import argparse
from typing import TYPE_CHECKING

from tortie.cli import configuration, datastore
from tortie.cli.addressing import address_of, allocation_data, as_json, text_of
from tortie.cli.terminal import table

if TYPE_CHECKING:
    from tortie.datastore import Datastore
    from tortie.ipam.audit import Allocation
    from tortie.ipam.records import Records
    from tortie.ipam.utilization import Usage
    from tortie.net import Prefix

_HEADER = ("GROUPING", "CIDR", "IPS TOTAL", "IN USE", "COOLING", "RESERVED", "FREE")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--ip", metavar="IP", help="who holds this address")
    what.add_argument("--show-blocks", action="store_true", help="each pool with its blocks")
    what.add_argument(
        "--show-borrowed", action="store_true", help="addresses of other nodes' blocks"
    )
    what.add_argument(
        "--show-configuration", action="store_true", help="how addresses are given out"
    )
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Show it. Raises UserError, DatastoreError."""
    address = address_of(options.ip) if options.ip else None

    async def look(store: "Datastore") -> int:
        if options.show_configuration:
            shown = await _configuration(store, options.output)
        elif address is not None:
            shown = _one(await _records(store), address, options.output)
        elif options.show_borrowed:
            shown = _borrowed(await _records(store), options.output)
        else:
            shown = await _usage(store, options.show_blocks, options.output)
        print(shown)
        return 0

    return datastore.read_from(options, look)


async def _records(store: "Datastore") -> "Records":
    from tortie.ipam.records import read_records

    return await read_records(store)


async def _configuration(store: "Datastore", output: str) -> str:
    from tortie.api import IPAMConfiguration, IPAMConfigurationSpec
    from tortie.datastore import NotFound
    from tortie.ipam.names import CONFIGURATION

    spec = IPAMConfigurationSpec()
    try:
        found = await store.get(CONFIGURATION)
        spec = found.spec if isinstance(found, IPAMConfiguration) else spec
    except NotFound:
        pass  # as it is where nobody has said anything
    rows = {
        "StrictAffinity": spec.strict_affinity,
        "AutoAllocateBlocks": spec.auto_allocate_blocks,
        "MaxBlocksPerHost": spec.max_blocks_per_host,
        "KubeVirtVMAddressPersistence": spec.kube_virt_vm_address_persistence or "Disabled",
        "IPCooldownSeconds": spec.ip_cooldown_seconds or 0,
    }
    if output == "json":
        return as_json(rows)
    return table(("PROPERTY", "VALUE"), [(name, str(value)) for name, value in rows.items()])


def _one(records: "Records", address: "Prefix", output: str) -> str:
    from tortie.ipam.audit import audit

    found = [one for one in audit(records).allocations if one.address == address]
    if output == "json":
        return as_json([allocation_data(one) for one in found])
    if not found:
        users = " and ".join(user.name for user in records.users.get(address, ()))
        used = f", though {users} has it: see `tortie ipam check`" if users else ""
        return f"IP {text_of(address)} is not currently assigned{used}"
    return _described(found[0])


def _described(one: "Allocation") -> str:
    users = ", ".join(user.name for user in one.users)
    lines = [
        f"IP {text_of(one.address)} is {'in use' if users else 'held, but nobody uses it'}",
        f"Used by: {users}" if users else f"Leak: {one.leak}",
        f"Handle: {one.handle or '-'}",
        f"Block: {one.block}{' (of another node)' if one.borrowed else ''}",
        "Attributes:",
        *(f"  {name}: {value}" for name, value in sorted(one.attributes.items())),
    ]
    return "\n".join(lines)


def _borrowed(records: "Records", output: str) -> str:
    from tortie.ipam.audit import audit
    from tortie.ipam.names import node_of

    owners = {block.spec.cidr: node_of(block.spec.affinity) for block in records.blocks}
    found = [one for one in audit(records).allocations if one.borrowed]
    if output == "json":
        return as_json([allocation_data(one) for one in found])
    rows = [
        (
            text_of(one.address),
            one.attributes.get("node", "-"),
            str(one.block),
            owners[str(one.block)] or "-",
            ", ".join(user.name for user in one.users) or "-",
        )
        for one in found
    ]
    return table(("IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "USED BY"), rows)


async def _usage(store: "Datastore", blocks: bool, output: str) -> str:
    from tortie.ipam.utilization import read_utilization

    found = await read_utilization(store)
    if output == "json":
        return as_json(
            [
                {**_numbers(one.pool), "blocks": [_numbers(block) for block in one.blocks]}
                for one in found
            ]
        )
    rows = []
    for one in found:
        rows.append(("IP Pool", *_cells(one.pool)))
        rows += [("Block", *_cells(block)) for block in one.blocks if blocks]
    return table(_HEADER, rows)


def _cells(usage: "Usage") -> tuple[str, ...]:
    numbers = (usage.in_use, usage.cooling, usage.reserved, usage.free)
    return str(usage.cidr), _big(usage.capacity), *map(_big, numbers)


def _big(number: int) -> str:
    """As calicoctl does: five digits at most, then as 1.8447e+19."""
    return str(number) if number < 10**9 else f"{number:.4e}"


def _numbers(usage: "Usage") -> dict[str, object]:
    return {
        "name": usage.name,
        "cidr": str(usage.cidr),
        "capacity": usage.capacity,
        "inUse": usage.in_use,
        "cooling": usage.cooling,
        "reserved": usage.reserved,
        "free": usage.free,
    }
