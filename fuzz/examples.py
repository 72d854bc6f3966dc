"""Valid objects to begin with: the project's examples, and one of each kind."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.shapes import arbitrary, shape_of_kind
from tortie.api import KINDS, Resource, encode
from tortie.api.manifests import read_manifests

ROOT = Path(__file__).parent.parent


@cache
def texts() -> tuple[bytes, ...]:
    """The files of `examples/` with policies and pods."""
    return tuple(
        path.read_bytes()
        for path in sorted((ROOT / "examples").glob("*/*.yaml"))
        if not path.name.startswith("expected")
    )


@cache
def resources() -> tuple[Resource, ...]:
    """The resources of those files."""
    return tuple(
        located.resource
        for text in texts()
        for located in read_manifests("examples", text).resources
    )


def manifests_of_each_kind(per_kind: int = 3) -> Iterator[dict[str, Any]]:
    """Objects of the right shape, their values arbitrary but the same in every run."""
    random = Random(0)
    for name, kind in KINDS.items():
        for _ in range(per_kind):
            body = arbitrary(shape_of_kind(name), random)
            meta = {**(body.get("metadata") or {}), "name": "a"}
            yield {
                "apiVersion": kind.api_version,
                "kind": kind.manifest_kind,
                **body,
                "metadata": meta,
            }


def as_json(resource: Resource) -> bytes:
    """The registry's name of the kind on the first line, then the object as JSON."""
    return f"{resource.kind}\n".encode() + encode(resource)
