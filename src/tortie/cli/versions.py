"""Whether this command's release is the cluster's: another may misjudge what it reads or writes."""

import argparse

import tortie
from tortie.cli.errors import UserError
from tortie.datastore import Datastore
from tortie.datastore.cluster import other_version


async def check_version(store: Datastore, options: argparse.Namespace) -> None:
    """Raise UserError where the cluster is of another version, unless the options allow it."""
    if options.allow_version_mismatch:
        return
    if version := await other_version(store, tortie.__version__):
        raise UserError(
            f"the cluster is of version {version}, this is tortie {tortie.__version__}: use the "
            "release of the cluster, or --allow-version-mismatch to go on nevertheless"
        )
