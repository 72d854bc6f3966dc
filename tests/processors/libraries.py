"""The Python libraries that the pure packages need, for a foreign interpreter.

Those in C are compiled here with a cross compiler, from the sources of the pinned versions; the
others are taken in the form that runs anywhere.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from processors.architectures import Architecture

CHECKOUT = Path(__file__).parents[2]
_ANYWHERE = ("hypothesis", "pytest", "pytest-timeout", "lark", "structlog", "prometheus-client")
_COMPILED = ("msgspec", "pyroaring")


def collect(architecture: Architecture, root: Path, place: Path) -> Path:
    """A folder for PYTHONPATH with all of them."""
    site = place / "site"
    _pip("install", "--target", str(site), "--platform", "any", "--implementation", "py",
         "--python-version", "3.11", "--only-binary", ":all:", *_ANYWHERE)  # fmt: skip
    sources = _sources(place / "sources")
    headers = _headers(architecture, root, place / "headers")
    _msgspec(architecture, sources / "msgspec", headers, site)
    _pyroaring(architecture, sources / "pyroaring", headers, site)
    return site


def _sources(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    pins = (CHECKOUT / "requirements.txt").read_text()
    wanted = [re.search(rf"^{name}==\S+$", pins, re.M) for name in _COMPILED]
    _pip("download", "--no-deps", "--no-binary", ":all:",
         "--dest", str(place), *[one.group() for one in wanted if one])  # fmt: skip
    for name in _COMPILED:
        (archive,) = place.glob(f"{name}-*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(place, filter="data")
        shutil.rmtree(place / name, ignore_errors=True)
        (place / archive.name.removesuffix(".tar.gz")).rename(place / name)
    return place


def _headers(architecture: Architecture, root: Path, place: Path) -> Path:
    """Only Python's: the C library's come with the compiler, and both at once would not fit."""
    place.mkdir(parents=True, exist_ok=True)
    here, there = root / "usr" / "include", architecture.triplet
    for link, target in (("python3.11", here / "python3.11"), (there, here / there)):
        (place / link).unlink(missing_ok=True)
        (place / link).symlink_to(target)
    return place


def _msgspec(architecture: Architecture, source: Path, headers: Path, site: Path) -> None:
    package = source / "src" / "msgspec"
    shutil.copytree(package, site / "msgspec", dirs_exist_ok=True)
    _compile(f"{architecture.triplet}-gcc", headers, site / "msgspec" / "_core.so",
             package / "_core.c")  # fmt: skip


def _pyroaring(architecture: Architecture, source: Path, headers: Path, site: Path) -> None:
    tool = source / "cython"
    _pip("install", "--target", str(tool), "cython")
    folder = source / "pyroaring"
    written, compiled = folder / "written.cpp", folder / "roaring.o"
    _run([sys.executable, "-m", "cython", "-3", "--cplus", str(folder / "pyroaring.pyx"),
          "-o", str(written)], tool)  # fmt: skip
    _run([f"{architecture.triplet}-gcc", "-O1", "-std=c11", "-D_GNU_SOURCE", "-fPIC", "-w", "-c",
          str(folder / "roaring.c"), "-o", str(compiled)])  # fmt: skip
    _compile(f"{architecture.triplet}-g++", headers, site / "pyroaring.so", written, compiled,
             "-std=c++11", "-static-libstdc++", "-static-libgcc", f"-I{folder}")  # fmt: skip


def _compile(compiler: str, headers: Path, target: Path, *rest: Path | str) -> None:
    where = [f"-I{headers}", f"-I{headers / 'python3.11'}"]
    _run([compiler, "-O1", "-w", "-shared", "-fPIC", *where, *map(str, rest), "-o", str(target)])


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])


def _run(command: list[str], modules: Path | None = None) -> None:
    environment = {**os.environ, "PYTHONPATH": str(modules)} if modules else None
    subprocess.run(command, check=True, timeout=900, env=environment)
