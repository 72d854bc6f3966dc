"""`python -m vm [pytest's arguments]`: tests in the small virtual machine (docs/testing.md).

Without arguments: every test with the mark `vm`. Ends with pytest's exit code. Output and
junit.xml stay in build/vm.
"""

import argparse
import compileall
import os
import re
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

from network import guest_rows
from servers.process import NotStarted
from vm import progress
from vm.features import IN_GUEST
from vm.kernel import NoVm, TooSlow, kernel
from vm.machine import LEAST_MEMORY, MEMORY, QEMU, Guest

CHECKOUT = Path(__file__).parents[2]
RESULTS = CHECKOUT / "build" / "vm"
REQUIRED = "TORTIE_REQUIRE_VM"
# Plugins of pytest that are of no use there, and seconds to import.
_SPARED = ("cacheprovider", "xdist", "xdist.looponfail", "anyio")
_MARK = re.compile(r"\bmark\.vm\b")


def main() -> int:
    """Run the tests; 0 where there can be no virtual machine and nobody demands one."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: everything is ended
    try:
        return _run(asked.tests, asked.seconds, asked.results)
    except (NoVm, NotStarted) as error:
        if asked.optional and not os.environ.get(REQUIRED):
            _say(f"WARNING: {error}. `make test-vm` runs these tests")
            return 0
        _say(f"ERROR: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m vm", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, boot included")
    parser.add_argument("--optional", action="store_true", help="no virtual machine is no error")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for its output")
    parser.add_argument("tests", nargs="*", help="pytest's arguments, after --")
    return parser.parse_args()


def _run(tests: list[str], seconds: float, results: Path) -> int:
    began = time.monotonic()
    if os.geteuid() != 0:  # a user's virtiofsd may not open root's files as overlayfs asks for
        raise NoVm("it needs root, to share this machine's files")
    if shutil.which(QEMU) is None:
        raise NoVm(f"no {QEMU}: install qemu-system-x86 and kmod")
    results.mkdir(parents=True, exist_ok=True)
    for one in ("exit", "junit.xml", "console", guest_rows.NAME):
        (results / one).unlink(missing_ok=True)
    progress.forget(results)
    _compile()
    _say("booting")
    ended = Guest(kernel(), results, _memory()).run(
        _job(tests or _marked(), seconds), seconds, _show
    )
    (results / "console").write_text(ended.console)
    took = time.monotonic() - began
    if ended.code is None:
        return unfinished(progress.read(results), ended.console, took)
    _say(f"{took:.0f} s in all; results in {results}")
    return ended.code


def unfinished(made: progress.Progress, console: str, took: float) -> int:
    """What it means that the guest said no code. Raises TooSlow where nothing has failed."""
    if made.failed:
        _say(
            f"ERROR: no end in {took:.0f} s, and these tests have failed: {', '.join(made.failed)}"
        )
        return 1
    last = "\n".join(console.splitlines()[-20:])
    left = f"{len(made.unfinished)} of {made.number} tests were left: {', '.join(made.unfinished)}"
    raise TooSlow(f"no result in {took:.0f} s. The last lines were:\n{last}\n{left}")


def _compile() -> None:
    """Each process of the guest would compile what it imports: it may leave no trace here."""
    for folder in ("src", "tests"):
        compileall.compile_dir(CHECKOUT / folder, quiet=2, workers=0)


def _marked() -> list[str]:
    """The tests with the mark. Only files that mention it, which spares the guest the others."""
    files = sorted((CHECKOUT / "tests").rglob("test_*.py"), key=_dearest_last)
    marked = [str(one.relative_to(CHECKOUT)) for one in files if _MARK.search(one.read_text())]
    return ["-m", "vm", *marked]


def _dearest_last(file: Path) -> tuple[bool, Path]:
    """Whole labs come after all others, which have then been tried where the time ends."""
    return file.parent.name == "network", file


def _job(tests: list[str], seconds: float) -> str:
    """A shell script of the guest: pytest as it is run here, by the same Python."""
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        "HOME": "/run/tmp",
        "TMPDIR": "/run/tmp",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TORTIE_PROGRAMS": "1",  # the guest is slow
        "TORTIE_LAB_PATIENCE": f"{seconds:g}",
        IN_GUEST: f"{seconds:g}",
        **{name: value for name, value in os.environ.items() if _is_passed(name)},
    }
    command = ["env", "-", *(f"{name}={value}" for name, value in environment.items())]
    command += [sys.executable, "-m", "pytest", "--durations=5"]
    command += [f"-pno:{one}" for one in _SPARED]
    command += ["--color=yes" if sys.stdout.isatty() else "--color=no"]
    command += ["--junit-xml=/run/job/junit.xml", f"--timeout={seconds:g}", *tests]
    return f"cd {shlex.quote(str(CHECKOUT))}\n{shlex.join(command)}\n"


def _is_passed(name: str) -> bool:
    return name.startswith("TORTIE_") or name == "PYTHONPATH"


def _memory() -> int:
    """MiB for the guest: no more than half of what is free here. Raises NoVm."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (free,) = (int(one.split()[1]) // 1024 for one in lines if one.startswith("MemAvailable:"))
    if free // 2 < LEAST_MEMORY:
        raise NoVm(f"{free} MiB of memory are free: it needs {2 * LEAST_MEMORY}")
    return min(MEMORY, free // 2)


def _say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


def _show(text: str) -> None:
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
