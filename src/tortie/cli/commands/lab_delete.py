"""Remove resources from a lab, as files name them, and wait for every node.

  tortie lab delete -f policy.yaml

Pods that are removed are stopped.
"""

import argparse
import asyncio

from tortie.cli import outcomes, writing
from tortie.cli.labs import add_resource_options, changing, checked, timed
from tortie.cli.terminal import complain, plural

arguments = add_resource_options


def run(options: argparse.Namespace) -> int:
    """Delete and wait."""
    return asyncio.run(_delete(options))


async def _delete(options: argparse.Namespace) -> int:
    async with changing(options.name) as lab:
        manifests = await checked(lab.store, lab.plan, options.filename, options.namespace)
        keys = [located.resource.key for located in manifests.resources]
        done, seconds = await timed(lab, lambda store: writing.delete_all(store, keys))
        await lab.reconcile()
        await lab.await_applied()
        nodes = len(lab.plan.nodes)
    status = outcomes.report(done, options.output)
    if options.output == "text":
        print(f"gone from {plural(nodes, 'node')} {seconds * 1000:.0f} ms after delete began")
    return complain(manifests.errors) or status
