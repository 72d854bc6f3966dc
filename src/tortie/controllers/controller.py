"""What a controller is, and what it is given.

A controller is a value: its name, the kinds that it follows, and what it does for as long as this
process leads. Each stands in a module of its own; `registry` has them all.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from tortie.controllers.feed import Feed
from tortie.controllers.live import Live
from tortie.controllers.metrics import Metrics
from tortie.controllers.settings import Settings
from tortie.datastore import Datastore


class Side(NamedTuple):
    """A store, and what it holds as far as it is known: the feed is shared by all controllers.

    What is written goes to `store`, which refuses once somebody else leads (`NotLeading`).
    """

    store: Datastore
    feed: Feed


class Sides(NamedTuple):
    """Of what kind the stores are, for the choice of controllers."""

    backend: str  # "kubernetes", "etcd", "sqlite" or "memory"
    kubernetes: bool  # whether there is Kubernetes' API, as the datastore or beside it

    @property
    def beside(self) -> bool:
        """Whether Kubernetes is there, but the datastore is another."""
        return self.kubernetes and self.backend != "kubernetes"


class Context(NamedTuple):
    """What a controller works with.

    `kubernetes` is Kubernetes' API: the same side as `datastore` where that is the datastore, None
    where there is no Kubernetes.
    """

    sides: Sides
    datastore: Side
    kubernetes: Side | None
    settings: Live[Settings]
    metrics: Metrics
    waiting: Callable[[str], None]
    """Say what the controller waits for (readiness); "" once it does its job."""


def _everywhere(_: Sides) -> bool:
    return True


class Controller(NamedTuple):
    """One of the controllers. `switch` is its name in ENABLED_CONTROLLERS and in
    KubeControllersConfiguration; several may have one; "" is always on.

    `run` goes on until it is cancelled. What it raises is logged, and it is run again after a
    pause: it must work from whatever state it finds.
    """

    name: str
    switch: str
    run: Callable[[Context], Awaitable[None]]
    follows: Iterable[str] = ()
    """Kinds of the datastore that its feed has."""
    follows_kubernetes: Iterable[str] = ()
    """Kinds of Kubernetes' API likewise."""
    belongs: Callable[[Sides], bool] = _everywhere
    """Whether there is anything to do for it with such stores."""
