"""Making a cluster have an installation: looked at first, then in steps, then waited for."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tortie.api.crds import Release
from tortie.datastore.contract import Unavailable
from tortie.install.cluster.others import beside, calico_itself, release_of
from tortie.install.cluster.places import PLACES
from tortie.install.cluster.server import Server
from tortie.install.cluster.standing import Standing, standing
from tortie.install.manifests.bundle import bundle
from tortie.install.manifests.choices import Choices
from tortie.install.manifests.objects import Object, name_of
from tortie.lab.progress import Progress

_POLL = 0.25  # seconds
_DEFINITION = "CustomResourceDefinition"
_RUNS = ("DaemonSet", "Deployment")


class NotInstalled(Exception):
    """The cluster can't have it, or does not have it in time; for people."""


class Looked(NamedTuple):
    """What a look at a cluster found: its objects to be, and what somebody should know."""

    objects: Sequence[Object]
    warnings: Sequence[str]


async def look(
    server: Server, made: Choices, secrets: Iterable[Object] = (), release: Release | None = None
) -> Looked:
    """All objects for a cluster of this release (None: as it says itself).

    Raises NotInstalled where it can't have them.
    """
    try:
        release = release or release_of(await server.version())
    except ValueError as problem:
        raise NotInstalled(str(problem)) from None
    (daemon_sets,) = [each for each in PLACES if each.kind == "DaemonSet"]
    found = await server.list(daemon_sets, {})
    if why := calico_itself(found):
        raise NotInstalled(why)
    objects = [*bundle(made, release)]
    at = next(n for n, each in enumerate(objects) if each["kind"] == "ConfigMap")
    return Looked([*objects[:at], *secrets, *objects[at:]], beside(found, made))


async def attempt(server: Server, objects: Sequence[Object]) -> None:
    """Have the server judge everything and write nothing. Raises DatastoreError."""
    for each in objects:
        await server.apply(each, try_only=True)


async def install(
    server: Server, objects: Sequence[Object], progress: Progress, seconds: float
) -> None:
    """Apply all and wait until it runs. Raises NotInstalled after `seconds`, DatastoreError.

    Kinds come first and are waited for; what runs comes last. So an agent of this release never
    asks for what the API server does not know yet, and one of the release before goes on until its
    turn: a DaemonSet replaces one node's pod after the other, and waits for each.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    kinds = [each for each in objects if each["kind"] == _DEFINITION]
    await _apply(server, kinds, progress)
    await _settle(server, kinds, progress, deadline)
    await _apply(server, [each for each in objects if each["kind"] != _DEFINITION], progress)
    await _settle(server, [each for each in objects if each["kind"] in _RUNS], progress, deadline)


async def _apply(server: Server, objects: Sequence[Object], progress: Progress) -> None:
    for each in objects:
        progress.doing(name_of(each), "is being applied")
        await server.apply(each)
        if each["kind"] not in (_DEFINITION, *_RUNS):
            progress.done(name_of(each), "applied")


async def _settle(
    server: Server, objects: Sequence[Object], progress: Progress, deadline: float
) -> None:
    """Wait for all of them; a server that is away for a while is waited for, too."""
    left = {name_of(each): each for each in objects}
    said: dict[str, Standing] = {}
    while left:
        for name, each in list(left.items()):
            found = await _standing(server, each)
            if found.done:
                progress.done(name, found.text)
                del left[name]
            elif said.get(name) != found:
                progress.doing(name, found.text)
            said[name] = found
        if left:
            await _pause(deadline, lambda: _late(left, said))


async def _standing(server: Server, made: Object) -> Standing:
    try:
        return standing(await server.get(made))
    except Unavailable as problem:
        return Standing(False, str(problem))


async def _pause(deadline: float, late: Callable[[], NotInstalled]) -> None:
    if asyncio.get_running_loop().time() >= deadline:
        raise late()
    await asyncio.sleep(_POLL)


def _late(left: Iterable[str], said: dict[str, Standing]) -> NotInstalled:
    lines = [f"  {name}: {said[name].text}" for name in left]
    hint = (
        "what is applied stays; `kubectl -n kube-system describe pods -l k8s-app=calico-node` "
        "says what holds it, and the same command again goes on waiting"
    )
    return NotInstalled("\n".join(["not ready in time:", *lines, hint]))
