"""`python -m processors s390x arm64`: the pure packages and the codecs on other processors.

What decides is pure Python with two libraries in C, and what speaks to kernels and peers are
codecs: all of it runs under QEMU's user emulation, with Debian's own Python of that processor.
Tests that need a kernel or a server are left out. What was unpacked and compiled is kept in the
user's cache; the first time takes two minutes a processor.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from processors.architectures import KNOWN, Architecture
from processors.debian import install, unpack_emulator, unpack_interpreter
from processors.libraries import CHECKOUT, collect

_TESTS = [
    "tests/net",
    "tests/selectors",
    "tests/linux",
    "tests/policy",
    "tests/kubernetes",
    "tests/engine",
    "tests/api/test_codec.py",
    "tests/api/test_round_trips.py",
    "tests/api/test_documents.py",
    "tests/fanout/test_protocol.py",
    "tests/fanout/test_ledger.py",
    "tests/fanout/test_picture.py",
    "tests/ipam/test_block.py",
    "tests/ipam/test_pools.py",
    "tests/ipam/test_splitting.py",
    "tests/ipam/test_terms.py",
    "tests/ipam/test_utilization.py",
    "tests/bgp/test_words.py",
    "tests/bgp/test_reading_bird.py",
    "tests/dataplane/test_nftables_render.py",
    "tests/dataplane/test_policy_pure.py",
    "tests/dataplane/test_routes_desired.py",
    "tests/dataplane/test_wireguard_desired.py",
    "tests/cni/test_result.py",
]


def main() -> int:
    """Run them on each processor that was named; the exit code of the first that failed."""
    parser = argparse.ArgumentParser("python -m processors")
    parser.add_argument("processors", nargs="+", choices=sorted(KNOWN))
    parser.add_argument("--tests", nargs="+", default=_TESTS, help="instead of all that are pure")
    asked = parser.parse_args()
    failed = [code for one in asked.processors if (code := _try(KNOWN[one], asked.tests))]
    return failed[0] if failed else 0


def _try(architecture: Architecture, tests: list[str]) -> int:
    python, path = _prepared(architecture)
    _say(f"{architecture.debian}: {architecture.byteorder}-endian, {len(tests)} folders and files")
    _require(python, architecture)
    environment = {
        **os.environ,
        "EMULATED_PYTHON": str(python),
        "PYTHONPATH": ":".join(map(str, (path, CHECKOUT / "src", CHECKOUT / "tests", CHECKOUT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(python), "-m", "pytest", "--noconftest", "-p", "processors.profile",
               "-p", "no:cacheprovider", "-m", "not root and not vm",
               "--timeout", "900"]  # fmt: skip
    return subprocess.run([*command, *tests], cwd=CHECKOUT, env=environment).returncode


def _prepared(architecture: Architecture) -> tuple[Path, Path]:
    """The interpreter, and the folder of its libraries."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "tortie" / "processors" / architecture.debian
    python = place / "python"
    if not python.exists():
        _say(f"{architecture.debian}: unpacking Debian's Python, compiling libraries (2 min)")
        install(architecture.compilers)
        emulator = unpack_emulator(architecture, place)
        root = unpack_interpreter(architecture, place)
        collect(architecture, root, place)
        _write(python, f"{emulator} -L {root} {root}/usr/bin/python3.11")
    return python, place / "site"


def _write(script: Path, command: str) -> None:
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)


def _require(python: Path, architecture: Architecture) -> None:
    told = subprocess.run(
        [python, "-c", "import sys; print(sys.byteorder)"], capture_output=True, text=True
    )
    if told.stdout.strip() != architecture.byteorder:
        raise SystemExit(f"processors: {python} is not {architecture.debian}: {told.stderr}")


def _say(text: str) -> None:
    print(f"processors: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
