"""Bring a lab up: two subnets and a router, nodes with agents, pods, hosts outside.

  tortie lab up                        3 nodes and the pods of the demonstration
  tortie lab up -f cluster.yaml --nodes 5 --name big

The file is plain Kubernetes YAML: namespaces, pods with labels and container
ports, policies, and any kind of projectcalico.org/v3. Where it has no IPPool,
Calico's default one is made. On a lab that is up, this adds what is missing.

  tortie lab up --datastore etcd:http://127.0.0.1:2379

puts the lab on an etcd of yours, or on the Kubernetes API; `lab down` leaves
there what was applied.
"""

import argparse
import asyncio

from tortie.api.manifests import Manifests
from tortie.cli import configuration, datastore, outcomes, selection, writing
from tortie.cli.labs import BUILT_IN, add_name_option, checked
from tortie.cli.progress import shown_progress
from tortie.cli.terminal import complain, plural, warn
from tortie.datastore.configuration import Fields, settings_of
from tortie.datastore.settings import MemorySettings
from tortie.lab.cluster import Lab
from tortie.lab.journal import Journal, exclusive
from tortie.lab.plan import DEFAULT_NODES, Encap, Families, Plan, Shape, plan_lab, shape_of
from tortie.lab.progress import Progress
from tortie.lab.requirements import check_requirements
from tortie.lab.served import keep, store_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it is to consist of."""
    selection.add_file_option(parser, required=False)
    parser.add_argument("--nodes", type=int, metavar="N", help=f"default: {DEFAULT_NODES}")
    add_name_option(parser)
    parser.add_argument(
        "--encap", choices=[one.value for one in Encap], help="how packets travel (default: vxlan)"
    )
    parser.add_argument(
        "--mode", choices=("CrossSubnet", "Always"), help="of the tunnel (default: CrossSubnet)"
    )
    parser.add_argument(
        "--ip", choices=[one.value for one in Families], help="IP versions (default: 4)"
    )
    group = parser.add_argument_group("datastore", "of its own, unless one is named here")
    configuration.add_datastore_options(group, "an embedded one of the lab's own")


def run(options: argparse.Namespace) -> int:
    """Bring it up. Nothing is made where a file has a mistake."""
    check_requirements()
    name = options.name
    with exclusive(name, lambda: warn(f"another command is changing lab {name!r}; waiting")):
        journal = Journal(name)
        plan = plan_lab(name, _shape(options, journal))
        served = _served(options)
        manifests = asyncio.run(_manifests(options, journal, plan, served))
        if manifests.errors:
            return complain(manifests.errors)
        with shown_progress() as progress:
            done = asyncio.run(_up(plan, manifests, progress, served))
    failed = [outcome for outcome in done if outcome.result == writing.FAILED]
    if failed:
        return outcomes.report(failed, "text")
    counts = plural(len(plan.nodes), "node"), plural(len(journal.workloads()), "workload")
    print(f"lab {name!r} is up: {', '.join(counts)}")
    return 0


def _shape(options: argparse.Namespace, journal: Journal) -> Shape:
    """What is asked for; of a lab that is up, as it is where nothing else is."""
    found = journal.shape() if journal.exists else shape_of(DEFAULT_NODES)
    nodes = found.nodes if options.nodes is None else options.nodes
    wanted = shape_of(
        nodes,
        Encap(options.encap or found.encap),
        options.mode or found.mode,
        Families(options.ip or found.families),
    )
    return journal.create(wanted) if journal.exists else wanted


def _served(options: argparse.Namespace) -> Fields | None:
    """The datastore of others that the lab is to be on."""
    if not (options.datastore or options.config or options.context):
        return None
    return configuration.chosen_fields(options)


async def _manifests(
    options: argparse.Namespace, journal: Journal, plan: Plan, served: Fields | None
) -> Manifests:
    """What to apply, checked; the pods of the demonstration where a new lab is given nothing."""
    files = options.filename or ([] if journal.exists else [str(BUILT_IN / "cluster.yaml")])
    if served and journal.exists:
        keep(journal, served)  # refuses another one than the lab is on
    wanted = store_of(journal) if journal.exists else MemorySettings()
    async with datastore.opened(settings_of(served) if served else wanted) as store:
        return await checked(store, plan, files, selection.DEFAULT_NAMESPACE)


async def _up(
    plan: Plan, manifests: Manifests, progress: Progress, served: Fields | None
) -> list[writing.Outcome]:
    lab = await Lab.create(plan.name, plan.shape, progress, served=served)
    try:
        return await bring_up(lab, manifests)
    finally:
        await lab.close()


async def bring_up(lab: Lab, manifests: Manifests) -> list[writing.Outcome]:
    """Everything of a lab, in the order in which nothing is ever unprotected."""
    await lab.raise_fabric()
    resources = await lab.placed(located.resource for located in manifests.resources)
    done = await writing.apply_all(lab.store, resources)
    await lab.ensure_defaults()
    await lab.await_agents()
    await lab.reconcile()
    await lab.await_applied()
    return done
