"""Programs for tests of which Debian has no package: built once from their Go modules, then kept.

What the builds of all have in common: which Go will do, an environment without others' settings, a
cache, one line for what is lacking, and one lock, so that of several that ask at once one builds.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from servers.progress import Report, follow

SILENT_SECONDS = 300.0  # a proxy that can't be reached, or one package that compiles for ever

GoVersion = tuple[int, ...]  # such as (1, 26)


class NotBuilt(Exception):
    """There is none; the message is one line that says why and what to do."""


def go_version(oldest: GoVersion, cwd: Path | None = None) -> str:
    """Such as "go1.26.8", as it is used in `cwd`; empty where no Go is new enough."""
    found = shutil.which("go")
    if found is None:
        return ""
    asked = subprocess.run(
        [found, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, cwd=cwd
    )
    version = asked.stdout.strip()
    return version if _numbers(version) >= oldest else ""


def _numbers(version: str) -> GoVersion:
    parts = version.removeprefix("go").split(".")[:2]
    return tuple(int(part) for part in parts) if all(map(str.isdigit, parts)) else ()


def no_go(oldest: GoVersion) -> str:
    """What to tell who has no Go that will do."""
    wanted = ".".join(map(str, oldest))
    return f"there is no Go toolchain here: install Go {wanted} or later (https://go.dev/dl)"


def environment(**others: str) -> dict[str, str]:
    """Without C, which a machine may have half of, and whatever others set for their own work."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **others}


def cache(name: str) -> Path:
    """Where what is built of this name is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tortie" / name


def run_go(
    command: Sequence[str], folder: Path, report: Report, most: float, **environ: str
) -> None:
    """Download and compile, for `most` seconds at the most. Raises NotBuilt."""
    ended = follow(
        ["go", *command],
        cwd=folder,
        env=environment(**environ),
        report=report,
        most=most,
        silent=SILENT_SECONDS,
    )
    if ended:
        raise NotBuilt(f"it can't be built: {ended}")


@contextmanager
def alone(folder: Path, report: Report) -> Iterator[None]:
    """Hold the folder's lock, which the kernel lets go of however its holder ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.say("another build of it is running: waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)  # which is bounded as this one would be
        yield


def required(variable: str) -> bool:
    """Whether the environment demands tests with it."""
    return os.environ.get(variable, "") not in ("", "0")


def main(name: str, variable: str, built: Callable[[Report], object]) -> int:
    """Build it where needed. Ends with 0 without one too, unless the environment demands it."""
    report = Report(name)
    try:
        built(report)
    except (NotBuilt, OSError, subprocess.TimeoutExpired) as error:
        if required(variable):
            report.say(f"ERROR: {error} ({variable} is set)")
            return 1
        report.say(f"WARNING: {error}. Tests that need it will be skipped")
    return 0


class Program(NamedTuple):
    """One that is got whole from the module proxy. `make NAME` builds it.

    `files` are what it is made of, below the folder that `build` gets first; the second is to work
    in, and goes. `costs` tells people what building takes.
    """

    name: str
    version: str
    files: tuple[str, ...]
    oldest_go: GoVersion
    costs: str
    build: Callable[[Path, Path, Report], None]

    def cached(self) -> Path:
        """The folder with its files. Raises NotBuilt."""
        place = cache(self.name) / self.version
        if all((place / name).is_file() for name in self.files):
            return place
        if not go_version(self.oldest_go):
            raise NotBuilt(no_go(self.oldest_go))
        raise NotBuilt(
            f"it is not built yet: run `make {self.name}`, which needs the Go module proxy once"
        )

    def built(self, report: Report) -> Path:
        """The same, built first where it was not. Raises NotBuilt, OSError."""
        try:
            return self.cached()
        except NotBuilt:
            if not go_version(self.oldest_go):
                raise
        with alone(cache(self.name), report):
            if not self._is_there():
                self._build(report)
        return self.cached()

    def lacking(self) -> str:
        """Why tests of it are skipped; empty where they run."""
        try:
            self.cached()
        except NotBuilt as why:
            return f"no {self.name}: {why}"
        return ""

    def _is_there(self) -> bool:
        return not self.lacking()

    def _build(self, report: Report) -> None:
        report.say(f"building it, once: {self.costs} from the Go module proxy")
        with tempfile.TemporaryDirectory(dir=cache(self.name)) as text:
            made, work = Path(text) / "made", Path(text) / "work"
            made.mkdir()
            work.mkdir()
            self.build(made, work, report)
            place = cache(self.name) / self.version
            shutil.rmtree(place, ignore_errors=True)  # half of it, by an earlier way to build
            made.rename(place)
        report.say(f"built, kept in {place}")
