"""`python -m tools.image`: build the image, for this processor or another one."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tools.image import archive, layers
from tools.image.debs import Apt, NotFetched, unpack
from tools.image.python_parts import install_libraries, install_ourselves
from tools.image.recipe import PROCESSORS, this_processor
from tools.image.root import furnish

_ROOT = Path(__file__).parents[2]
T = TypeVar("T")


def main(words: list[str] | None = None) -> int:
    """Build it; status 1 where packages can't be had."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__)
    parser.add_argument("--architecture", choices=tuple(PROCESSORS), default=this_processor())
    parser.add_argument("--output", metavar="FILE", type=Path)
    parser.add_argument(
        "--wheels", metavar="DIR", type=Path, help="with wheels that nobody publishes"
    )
    options = parser.parse_args(words)
    target = options.output or _ROOT / "build" / f"tortie-image-{options.architecture}.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        digest = build(options.architecture, target, epoch_of(), options.wheels)
    except (NotFetched, subprocess.SubprocessError, OSError) as problem:
        print(f"image: {problem}", file=sys.stderr)
        return 1
    print(f"image: {target} ({target.stat().st_size / 1e6:.1f} MB, {digest})")
    return 0


def build(architecture: str, target: Path, epoch: int, wheels: Path | None = None) -> str:
    """Write the archive; the image's digest."""
    processor, cache = PROCESSORS[architecture], cache_folder()
    apt = Apt(cache / architecture, architecture)
    archives = _step("packages", apt.fetch)
    with tempfile.TemporaryDirectory(prefix="tortie-image-") as name:
        folder = Path(name)
        root = folder / "root"
        made = []
        steps = (
            ("debian", lambda: _debian(archives, root)),
            ("libraries", lambda: install_libraries(root, processor, cache / "pip", wheels)),
            ("tortie", lambda: install_ourselves(root, folder)),
        )
        for title, step in steps:
            before = layers.tree(root) if root.is_dir() else {}
            root.mkdir(exist_ok=True)
            _step(title, step)
            made.append(layers.pack(root, before, folder / f"{title}.tar.gz", epoch))
        return archive.write(made, processor, target, epoch)


def _debian(archives: list[Path], root: Path) -> None:
    unpack(archives, root)
    furnish(root, [path.stem for path in archives])


def _step(title: str, work: Callable[[], T]) -> T:
    began = time.monotonic()
    found = work()
    print(f"image: {title} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return found


def cache_folder() -> Path:
    """Where lists, packages and wheels are kept between two builds."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "tortie" / "image"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def epoch_of() -> int:
    """SOURCE_DATE_EPOCH, else when the checkout was committed: the same for everybody."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(
        ["git", "-C", str(_ROOT), "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout.strip() or 0)


if __name__ == "__main__":
    sys.exit(main())
