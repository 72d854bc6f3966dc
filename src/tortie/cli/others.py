"""What a folder of manifests has beside our kinds: what runs pods, and what is passed over."""

from collections.abc import Container, Iterator
from typing import Any

from tortie.api import Key, Pod, with_metadata
from tortie.api.manifests import ManifestError, Place
from tortie.cli.terminal import warn
from tortie.trace.foreign import is_foreign
from tortie.trace.templates import is_workload, pod_of

_MANIFEST = frozenset({"apiVersion", "kind", "spec"})


class Others:
    """Takes what is not for the reader of our kinds; `errors` are about that."""

    def __init__(self, namespace: str) -> None:
        self.errors: list[ManifestError] = []
        self._namespace = namespace
        self._found: dict[tuple[str, Key], Pod] = {}

    def take(self, place: Place, manifest: dict[str, Any]) -> bool:
        """Whether a manifest is dealt with, and so is left out there."""
        if is_workload(manifest):
            self._run(place, manifest)
            return True
        if not _MANIFEST & manifest.keys():
            warn(f"{place.source}: document {place.document} is no manifest: it is passed over")
            return True
        version, kind = manifest.get("apiVersion"), manifest.get("kind")
        return isinstance(version, str) and isinstance(kind, str) and is_foreign(version, kind)

    def pods(self, taken: Container[Key]) -> Iterator[Pod]:
        """A pod of each workload; of several that have one name the later ones get another."""
        names: set[Key] = set()
        for (kind, key), pod in self._found.items():
            if key in taken or key in names:
                pod = with_metadata(pod, name=f"{key.name}-{kind.lower()}")
                warn(
                    f"{kind} {key.namespace}/{key.name} is not alone with its name: "
                    f"its pod is {key.namespace}/{pod.metadata.name} here"
                )
            names.add(pod.key)
            yield pod

    def _run(self, place: Place, manifest: dict[str, Any]) -> None:
        try:
            pod = pod_of(manifest, self._namespace)
        except ValueError as error:
            self.errors.append(place.error("", str(error)))
            return
        known = (str(manifest["kind"]), pod.key)
        if known in self._found:
            name = f"{known[0]} {pod.metadata.namespace}/{pod.metadata.name}"
            self.errors.append(place.error("metadata.name", f"{name} is there twice"))
        self._found[known] = pod
