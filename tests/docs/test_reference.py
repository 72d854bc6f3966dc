"""The reference is what the code says, and the site that it is part of is whole."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.blocks import CHECKOUT

FOLDER = CHECKOUT / "docs" / "reference"


def generated() -> dict[str, str]:
    """What the generator would write. In a process of its own: it sets its environment."""
    script = (
        "import json, sys; sys.path.insert(0, 'tools');"
        "import reference; print(json.dumps(reference.pages()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return dict(json.loads(ran.stdout))


def test_every_page_is_as_its_generator_writes_it() -> None:
    made = generated()
    if sys.version_info >= (3, 13):
        made.pop("commands.md")  # argparse writes help in another form since
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run `make reference`"
    there = {path.name for path in FOLDER.glob("*.md")}
    assert there - {"commands.md"} == made.keys() - {"commands.md"}


def test_the_site_builds_without_a_warning_and_without_a_network(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        pytest.fail("mkdocs is part of what tests need")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    home = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "requirements.html" in home
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not any(loaded in text for loaded in ('src="http', 'rel="stylesheet" href="http'))
