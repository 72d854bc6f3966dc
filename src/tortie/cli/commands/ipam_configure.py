"""Change how addresses are given out.

tortie ipam configure --strictaffinity=true
tortie ipam configure --strictaffinity=true --max-blocks-per-host=4
tortie ipam configure --ip-cooldown-seconds=30

What is not named stays as it is.
"""

import argparse
from typing import TYPE_CHECKING, Any

from tortie.cli import configuration, datastore
from tortie.cli.errors import UserError
from tortie.cli.numbers import within

if TYPE_CHECKING:
    from tortie.datastore import Datastore

_MOST_COOLING = 1200  # seconds
_MOST_BLOCKS = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to change."""
    parser.add_argument(
        "--strictaffinity",
        type=_switch,
        metavar="true|false",
        help="whether nodes never borrow addresses of other nodes' blocks",
    )
    parser.add_argument(
        "--max-blocks-per-host",
        type=within(0, _MOST_BLOCKS),
        metavar="N",
        help="the most blocks of a node; 0: 20",
    )
    parser.add_argument(
        "--kubevirt-ip-persistence",
        choices=["Enabled", "Disabled"],
        help="whether a VM keeps its address when it moves",
    )
    parser.add_argument(
        "--ip-cooldown-seconds",
        type=within(0, _MOST_COOLING),
        metavar="N",
        help="for how long a released address is not given again",
    )
    configuration.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """Change it. Raises UserError, DatastoreError."""
    changes: dict[str, Any] = {
        "strict_affinity": options.strictaffinity,
        "max_blocks_per_host": options.max_blocks_per_host,
        "kube_virt_vm_address_persistence": options.kubevirt_ip_persistence,
        "ip_cooldown_seconds": options.ip_cooldown_seconds,
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    if not wanted:
        raise UserError(
            "say what to change; `tortie ipam show --show-configuration` tells how it is"
        )

    async def work(store: "Datastore") -> int:
        from msgspec.structs import replace

        from tortie.api import IPAMConfiguration, IPAMConfigurationSpec, ObjectMeta
        from tortie.datastore import NotFound
        from tortie.ipam.names import CONFIGURATION

        try:
            found = await store.get(CONFIGURATION)
        except NotFound:
            found = None
        spec = found.spec if isinstance(found, IPAMConfiguration) else IPAMConfigurationSpec()
        spec = replace(spec, **wanted)
        if spec.max_blocks_per_host and not spec.strict_affinity:
            raise UserError(
                "--max-blocks-per-host needs --strictaffinity=true: a node that has all its blocks"
                " would borrow instead"
            )
        if isinstance(found, IPAMConfiguration):
            await store.update(replace(found, spec=spec))
        else:
            await store.create(
                IPAMConfiguration(metadata=ObjectMeta(name=CONFIGURATION.name), spec=spec)
            )
        print("configured: see `tortie ipam show --show-configuration`")
        return 0

    return datastore.write_to(options, work)


def _switch(text: str) -> bool:
    from tortie.daemon.values import boolean

    try:
        return boolean(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r}: {problem}") from None
