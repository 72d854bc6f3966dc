"""The kube-apiserver that tests start: built once from its Go module, then kept in a cache.

`python -m servers.kube_build` (what `make kube-apiserver` runs) builds it and shows progress;
`cached()` finds it, or says why there is none. What is kept is keyed by the Go sources and by the
version of Go, so that neither an older checkout nor an older toolchain gives a wrong one.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers.progress import Report, follow

SOURCES = Path(__file__).parent / "kube_apiserver"
OLDEST_GO = (1, 22)  # what go.mod asks for
MOST_SECONDS = 1200.0  # for the download and the compilation, on a slow machine
SILENT_SECONDS = 300.0  # a proxy that can't be reached, or one package that compiles for ever
REQUIRED = "TORTIE_REQUIRE_KUBE"


class NoKubeApiserver(Exception):
    """There is no kube-apiserver; the message is one line that says why and what to do."""


def required() -> bool:
    """Whether the environment demands tests with a kube-apiserver."""
    return os.environ.get(REQUIRED, "") not in ("", "0")


def cached() -> Path:
    """The program. Raises NoKubeApiserver where it was not built."""
    places = [_place(version)] if (version := go_version()) else _built_by_any()
    for place in places:
        if place.is_file():
            return place
    raise NoKubeApiserver(_advice(version))


def built(report: Report) -> Path:
    """The program, built first where it was not. Raises NoKubeApiserver.

    Of several that ask at once one builds; the others wait for it.
    """
    try:
        return cached()
    except NoKubeApiserver:
        version = go_version()
        if not version:
            raise
    place = _place(version)
    try:
        with _alone(place.parent, report):
            if not place.is_file():
                _build(place, report)
    except OSError as error:
        raise NoKubeApiserver(f"it can't be built: {error}") from None
    return place


def _advice(version: str) -> str:
    if not version:
        wanted = ".".join(map(str, OLDEST_GO))
        return f"there is no Go toolchain here: install Go {wanted} or later (https://go.dev/dl)"
    return "it is not built yet: run `make kube-apiserver`, which needs the Go module proxy once"


def go_version() -> str:
    """Such as "go1.26.8"; empty where there is no Go that could build it."""
    found = shutil.which("go")
    if found is None:
        return ""
    asked = subprocess.run(
        [found, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, cwd=SOURCES
    )
    version = asked.stdout.strip()
    return version if numbers(version) >= OLDEST_GO else ""


def numbers(version: str) -> tuple[int, ...]:
    """Of a version of Go, such as (1, 26)."""
    parts = version.removeprefix("go").split(".")[:2]
    return tuple(int(part) for part in parts) if all(map(str.isdigit, parts)) else ()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tortie" / "kube-apiserver"


def _digest() -> str:
    found = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        found.update((SOURCES / name).read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _place(version: str) -> Path:
    return _cache() / f"{_digest()}-{version}" / "kube-apiserver"


def _built_by_any() -> list[Path]:
    """Of the same sources by any Go: for machines that got the cache but not the toolchain."""
    return sorted(_cache().glob(f"{_digest()}-*/kube-apiserver"))


@contextmanager
def _alone(folder: Path, report: Report) -> Iterator[None]:
    """Hold the folder's lock, which the kernel lets go of however its holder ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.say("another build of it is running: waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)  # which is bounded as this one would be
        yield


def _build(place: Path, report: Report) -> None:
    report.say("building it, once: some minutes, and 200 MB from the Go module proxy")
    unfinished = place.with_suffix(".new")
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-ldflags=-s -w", "-v"]
    ended = follow(
        [*command, "-o", str(unfinished), "."],
        cwd=SOURCES,
        env=_environment(os.environ),
        report=report,
        most=MOST_SECONDS,
        silent=SILENT_SECONDS,
    )
    if ended:
        unfinished.unlink(missing_ok=True)
        raise NoKubeApiserver(f"it can't be built: {ended}")
    os.replace(unfinished, place)
    report.say(f"built, kept in {place.parent}")


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Without C, which a machine may have half of, and whatever others set for their own work."""
    return {**base, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def main() -> int:
    """Build it where needed. Ends with 0 without one too, unless the environment demands it."""
    report = Report("kube-apiserver")
    try:
        built(report)
    except NoKubeApiserver as error:
        if required():
            report.say(f"ERROR: {error} ({REQUIRED} is set)")
            return 1
        report.say(f"WARNING: {error}. Tests that need one will be skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
