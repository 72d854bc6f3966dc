"""Whether what is noted beside an address speaks of who asks. Pure.

A container's handle is made of its id. CNI asks that no two containers have one id at once, and
that for one node alone; where they do, the handle would give one what the other uses, and take it
away. So the note is compared, too: the pod; for what is no pod's, the container and its node. What
either side does not say contradicts nothing: others note less (an upgraded cluster's data), and a
runtime may end a container without saying whose it was.
"""

from collections.abc import Mapping
from typing import Any

CONTAINER = "container"
"""The attribute that names a container that no pod is told of."""

About = Mapping[str, Any]
"""Attributes of an address, or those of who asks for it."""

ANYBODY: About = {}
"""Who asks without a word of who it is: nothing contradicts."""


def is_anothers(noted: About, by: About) -> bool:
    """Whether an address with these attributes is somebody's other than whom `by` describes."""
    theirs, own = identity(noted), identity(by)
    if theirs and own:
        return theirs != own
    return is_elsewhere(noted, by)


def is_elsewhere(noted: About, by: About) -> bool:
    """Whether both name a node, and not the same."""
    there, here = noted.get("node"), by.get("node")
    return bool(there and here and there != here)


def identity(about: About) -> tuple[str, ...]:
    """Who is described; empty: nobody. A pod is the same whatever its node calls itself."""
    if name := about.get("pod"):
        return "pod", about.get("namespace", ""), name
    if container := about.get(CONTAINER):
        return "container", about.get("node", ""), container
    return ()
