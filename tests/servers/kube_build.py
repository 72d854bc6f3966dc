"""The kube-apiserver that tests start: built once from its Go module, then kept in a cache.

`python -m servers.kube_build` (what `make kube-apiserver` runs) builds it and shows progress;
`cached()` finds it, or says why there is none. What is kept is keyed by the Go sources and by the
version of Go, so that neither an older checkout nor an older toolchain gives a wrong one.
"""

import hashlib
import os
import sys
from pathlib import Path

from servers import go_programs
from servers.go_programs import NotBuilt, alone, cache, go_version, no_go, run_go
from servers.progress import Report

SOURCES = Path(__file__).parent / "kube_apiserver"
OLDEST_GO = (1, 22)  # what go.mod asks for
MOST_SECONDS = 1200.0  # for the download and the compilation, on a slow machine
REQUIRED = "TORTIE_REQUIRE_KUBE"
_NAME = "kube-apiserver"


def required() -> bool:
    """Whether the environment demands tests with a kube-apiserver."""
    return go_programs.required(REQUIRED)


def cached() -> Path:
    """The program. Raises NotBuilt where it was not built."""
    places = [_place(version)] if (version := _go()) else _built_by_any()
    for place in places:
        if place.is_file():
            return place
    raise NotBuilt(
        f"it is not built yet: run `make {_NAME}`, which needs the Go module proxy once"
        if version
        else no_go(OLDEST_GO)
    )


def built(report: Report) -> Path:
    """The program, built first where it was not. Raises NotBuilt.

    Of several that ask at once one builds; the others wait for it.
    """
    try:
        return cached()
    except NotBuilt:
        version = _go()
        if not version:
            raise
    place = _place(version)
    try:
        with alone(place.parent, report):
            if not place.is_file():
                _build(place, report)
    except OSError as error:
        raise NotBuilt(f"it can't be built: {error}") from None
    return place


def _go() -> str:
    return go_version(OLDEST_GO, SOURCES)  # go.mod may ask for a toolchain of its own


def _digest() -> str:
    found = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        found.update((SOURCES / name).read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _place(version: str) -> Path:
    return cache(_NAME) / f"{_digest()}-{version}" / _NAME


def _built_by_any() -> list[Path]:
    """Of the same sources by any Go: for machines that got the cache but not the toolchain."""
    return sorted(cache(_NAME).glob(f"{_digest()}-*/{_NAME}"))


def _build(place: Path, report: Report) -> None:
    report.say("building it, once: some minutes, and 200 MB from the Go module proxy")
    unfinished = place.with_suffix(".new")
    flags = ["-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-v"]
    try:
        run_go(["build", *flags, "-o", str(unfinished), "."], SOURCES, report, MOST_SECONDS)
    except NotBuilt:
        unfinished.unlink(missing_ok=True)
        raise
    os.replace(unfinished, place)
    report.say(f"built, kept in {place.parent}")


if __name__ == "__main__":
    sys.exit(go_programs.main(_NAME, REQUIRED, built))
