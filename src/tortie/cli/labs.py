"""What the `tortie lab` commands share."""

import argparse
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import cast

from tortie.api import Pod
from tortie.api.manifests import Located, ManifestError, Manifests
from tortie.cli import selection, sources
from tortie.cli.terminal import warn
from tortie.cli.tiers import tierless
from tortie.cli.writing import Outcome
from tortie.datastore import Datastore
from tortie.lab.cluster import Lab
from tortie.lab.journal import exclusive
from tortie.lab.plan import DEFAULT_NAME, Plan
from tortie.lab.progress import Progress, Silent
from tortie.lab.requirements import check_requirements

VARIABLE = "TORTIE_LAB"
BUILT_IN = Path(__file__).parent.parent / "lab" / "demo"


def add_name_option(parser: argparse.ArgumentParser) -> None:
    """`--name`: several labs can be up at once."""
    name = os.environ.get(VARIABLE) or DEFAULT_NAME
    parser.add_argument("--name", default=name, help=f"which lab (default: ${VARIABLE}, {name})")


def add_resource_options(parser: argparse.ArgumentParser) -> None:
    """Files of resources, how to tell what became of them, and which lab."""
    selection.add_file_option(parser, required=True)
    selection.add_namespace_options(parser, everywhere=False)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_name_option(parser)


@asynccontextmanager
async def using(name: str, progress: Progress | None = None) -> AsyncIterator[Lab]:
    """A lab that is up, to look at. Raises LabError."""
    check_requirements()
    lab = await Lab.load(name, progress or Silent())
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def changing(name: str, progress: Progress | None = None) -> AsyncIterator[Lab]:
    """A lab that is up, with no other command changing it meanwhile. Raises LabError."""
    check_requirements()
    with exclusive(name, lambda: warn(f"another command is changing lab {name!r}; waiting")):
        async with using(name, progress) as lab:
            yield lab


async def timed(
    lab: Lab, write: Callable[[Datastore], Awaitable[Sequence[Outcome]]]
) -> tuple[Sequence[Outcome], float]:
    """Write to the lab's datastore; what happened, and the seconds until every node enforces it."""
    start = perf_counter()
    done = await write(lab.store)
    await lab.await_applied()
    return done, perf_counter() - start


async def checked(
    store: Datastore, plan: Plan, filenames: Sequence[str], namespace: str
) -> Manifests:
    """The resources of files, and all that is wrong with them, for this lab too."""
    manifests = sources.read(filenames, namespace)
    manifests = await sources.with_known_namespaces(store, manifests)
    manifests = sources.without(manifests, await tierless(store, manifests.resources))
    stray = [located for located in manifests.resources if _is_stray(located, plan)]
    return Manifests(
        tuple(located for located in manifests.resources if located not in stray),
        (*manifests.errors, *(_unknown_node(located, plan) for located in stray)),
    )


def _is_stray(located: Located, plan: Plan) -> bool:
    """Whether it is a Pod on a node that the lab does not have."""
    pod = located.resource
    if not isinstance(pod, Pod):
        return False
    return pod.spec.node_name not in ("", *(node.name for node in plan.nodes))


def _unknown_node(located: Located, plan: Plan) -> ManifestError:
    name = cast(Pod, located.resource).spec.node_name
    names = ", ".join(node.name for node in plan.nodes)
    hint = f"there are {names}; or leave it out"
    return located.place.error("spec.nodeName", f"the lab has no node {name!r}", hint)
