"""`python -m fuzz [--seconds N] [TARGET...]`: fuzz each target for its time.

Prints where each stands every few seconds and one line at its end. An input that breaks a promise
is kept in `fuzz/found/` once the plain code, in a fresh process, has broken on it too; exit status
1. What one run learnt of a target is where the next begins (`build/fuzz/`).
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from fuzz.bounds import HANG_SECONDS, MEBIBYTES
from fuzz.examples import ROOT
from fuzz.progress import Progress
from fuzz.targets import NAMES, load

FOUND = ROOT / "fuzz" / "found"
LEARNT = ROOT / "build" / "fuzz"
SEEDS = ROOT / "tests" / "fuzz" / "seeds"


class Outcome(NamedTuple):
    """What fuzzing one target came to."""

    progress: Progress
    found: list[Path]


def main() -> int:
    """Fuzz the targets of the command line, or all."""
    arguments = _arguments()
    outcomes = {}
    for name in arguments.target or NAMES:
        outcomes[name] = fuzz(name, arguments.seconds)
        print(_summary(outcomes[name]), flush=True)
    found = [path for outcome in outcomes.values() for path in outcome.found]
    for path in found:
        target = path.name.partition("-")[0]
        seed = f"{SEEDS.relative_to(ROOT)}/{target}/"
        print(f"fuzz: broken by {path.relative_to(ROOT)}: once it is mended, keep it in {seed}")
    silent = [name for name, outcome in outcomes.items() if not outcome.progress.inputs]
    for name in silent:
        print(f"fuzz: {name} ran no input at all", file=sys.stderr)
    return 1 if found or silent else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="time of each target")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(NAMES)}; all if none is given")
    arguments = parser.parse_args()
    for name in arguments.target:
        if name not in NAMES:
            parser.error(f"no target {name!r}: there are {', '.join(NAMES)}")
    if arguments.seconds < 1:
        parser.error("--seconds must be at least 1")
    return arguments


def fuzz(name: str, seconds: int) -> Outcome:
    """Fuzz one target until its time is over or something real is found."""
    corpus = _corpus(name)
    progress = Progress(name, seconds)
    end = monotonic() + seconds
    while (left := end - monotonic()) > 1:
        before = set(FOUND.glob(f"{name}-*"))
        status = _work(name, max(1, round(left)), corpus, progress)
        kept = list(_confirmed(name, sorted(set(FOUND.glob(f"{name}-*")) - before)))
        if kept or not status:
            return Outcome(progress, kept)
        if not progress.inputs:
            break
    return Outcome(progress, [])


def _corpus(name: str) -> Path:
    """The folder of inputs to begin with, filled."""
    FOUND.mkdir(exist_ok=True)
    corpus = LEARNT / name
    corpus.mkdir(parents=True, exist_ok=True)
    target = load(name)
    for number, data in enumerate(target.starts()):
        (corpus / f"start-{number:03}").write_bytes(data)
    (LEARNT / f"{name}.words").write_text("".join(map(_quoted, target.words())))
    return corpus


def _quoted(word: str) -> str:
    """A line of libFuzzer's dictionaries."""
    return '"' + "".join([f"\\x{byte:02x}" for byte in word.encode()]) + '"\n'


def _work(name: str, seconds: int, corpus: Path, progress: Progress) -> int:
    """Run the worker, its lines as progress; its exit status."""
    seeds = [str(folder) for folder in (SEEDS / name,) if folder.is_dir()]
    options = {
        "max_total_time": seconds,
        "max_len": load(name).size,
        "len_control": 0,
        "timeout": HANG_SECONDS,
        "rss_limit_mb": MEBIBYTES,
        "dict": LEARNT / f"{name}.words",
        "artifact_prefix": f"{FOUND}/{name}-",
    }
    command = [sys.executable, "-m", "fuzz.worker", name]
    command += [f"-{option}={value}" for option, value in options.items()]
    with subprocess.Popen(
        [*command, str(corpus), *seeds],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            progress.take(line)
    return process.returncode


def _confirmed(name: str, paths: list[Path]) -> Iterator[Path]:
    """Of new inputs those on which the plain code breaks too; the others go."""
    for path in paths:
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.replay", name, str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            yield path
        else:
            path.unlink()


def _summary(outcome: Outcome) -> str:
    result = f"{len(outcome.found)} FOUND" if outcome.found else "nothing found"
    return f"{outcome.progress}: {result}"


if __name__ == "__main__":
    sys.exit(main())
