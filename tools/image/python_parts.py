"""Our wheel, and those that it needs, at the very versions that are tested."""

import py_compile
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from tools.image.recipe import INTERPRETER, PLACES, Processor

_ROOT = Path(__file__).parents[2]
_SECONDS = 900
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SCRIPT = """\
#!{interpreter} -sP
import sys

from tortie.cli.main import main

sys.exit(main())
"""


def requirements() -> list[str]:
    """What `tortie` needs to run, "name==version" each, as installed here; nothing of tests."""
    found: dict[str, str] = {}
    left = ["tortie"]
    while left:
        name = left.pop().lower().replace("_", "-")
        if name in found:
            continue
        about = distribution(name)
        found[name] = about.version
        needed = [each for each in about.requires or () if "extra ==" not in each]
        left += [match[0] for each in needed if _applies(each) and (match := _NAME.match(each))]
    del found["tortie"]
    return sorted(f"{name}=={version}" for name, version in found.items())


def _applies(requirement: str) -> bool:
    """Whether a requirement's marker holds for the image's Python."""
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def install_libraries(
    root: Path, processor: Processor, cache: Path, wheels: Path | None = None
) -> None:
    """The wheels for this processor, whatever the one at hand is; also those in folder `wheels`."""
    target = root / PLACES[0]
    platforms = [word for each in processor.wheels for word in ("--platform", each)]
    _pip(
        "install",
        *("--target", str(target), "--no-deps", "--only-binary=:all:", "--no-compile"),
        *("--implementation", "cp", "--python-version", "3.11", *platforms),
        *(("--find-links", str(wheels.absolute())) if wheels else ()),
        *("--cache-dir", str(cache), *requirements()),
    )
    _tidy(target)


def install_ourselves(root: Path, folder: Path) -> None:
    """Our own wheel, and the command."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(_ROOT))
    (wheel,) = folder.glob("tortie-*.whl")
    target = root / PLACES[0]
    _pip("install", "--target", str(target), "--no-deps", "--no-compile", "--no-index", str(wheel))
    _tidy(target)
    command = root / PLACES[1] / "tortie"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(_SCRIPT.format(interpreter=INTERPRETER))
    command.chmod(0o755)


def _tidy(target: Path) -> None:
    """Without what depends on this machine or this moment; compiled, so that starting is quick."""
    for path in sorted(target.glob("*.dist-info/direct_url.json")):
        path.unlink()
    for path in sorted(target.glob("*.dist-info/RECORD")):
        path.unlink()
    shutil.rmtree(target / "bin", ignore_errors=True)  # commands of libraries
    for source in sorted(target.rglob("*.py")):
        shown = "/" + str(source.relative_to(target.parents[len(Path(PLACES[0]).parts) - 1]))
        py_compile.compile(
            str(source),
            dfile=shown,
            doraise=False,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    subprocess.run(command, check=True, timeout=_SECONDS, cwd="/")
