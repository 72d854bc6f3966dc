"""Apply resources to a lab, and wait until every node enforces them.

  tortie lab apply -f policy.yaml

As `tortie apply`; pods are started, stopped, moved and relabelled as the files
say. Prints the time from the first write to the last node's kernel.
"""

import argparse
import asyncio

from tortie.cli import outcomes, writing
from tortie.cli.labs import add_resource_options, changing, checked, timed
from tortie.cli.terminal import complain, plural

arguments = add_resource_options


def run(options: argparse.Namespace) -> int:
    """Apply and wait; status 1 where anything could not be."""
    return asyncio.run(_apply(options))


async def _apply(options: argparse.Namespace) -> int:
    async with changing(options.name) as lab:
        manifests = await checked(lab.store, lab.plan, options.filename, options.namespace)
        resources = await lab.placed(located.resource for located in manifests.resources)
        done, seconds = await timed(lab, lambda store: writing.apply_all(store, resources))
        changes = await lab.reconcile()
        await lab.await_applied()
        nodes = len(lab.plan.nodes)
    status = outcomes.report(done, options.output)
    if options.output == "text":
        print(f"in force on {plural(nodes, 'node')} {seconds * 1000:.0f} ms after apply began")
        for verb, names in (("started", changes.started), ("stopped", changes.stopped)):
            if names:
                print(f"{verb} {', '.join(names)}")
    return complain(manifests.errors) or status
