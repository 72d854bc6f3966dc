"""What the documentation says, done: every command is run, every piece of YAML is read."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from docs import settings
from docs.blocks import CHECKOUT, Page, pages
from docs.commands import check, commands_in
from tortie.cli.main import main

PAGES = pages()
SHELL = ("sh", "bash", "shell")
_SECONDS = 240.0


def of(*languages: str) -> list[Page]:
    return [page for page in PAGES if any(one.language in languages for one in page.blocks)]


def named(page: Page) -> str:
    return page.name


@pytest.fixture
def environment(
    page: Page, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """What the page's setting gives."""
    for link in ("examples", "manifests"):
        (tmp_path / link).symlink_to(CHECKOUT / link)
    with ExitStack() as opened:
        if page.setting == "lab":
            yield opened.enter_context(settings.lab(tmp_path))
        elif page.setting == "cluster":
            kube = request.getfixturevalue("kube")
            yield opened.enter_context(settings.cluster(tmp_path, kube))
        else:
            assert page.setting == "folder", f"{page.name}: there is no setting {page.setting!r}"
            yield settings.environment(tmp_path, {})


@pytest.mark.root
@pytest.mark.parametrize("page", of(*SHELL), ids=named)
def test_every_command_works_as_written(
    page: Page, tmp_path: Path, environment: dict[str, str]
) -> None:
    for block in page.blocks:
        if block.language == "yaml" and block.file:
            (tmp_path / block.file).write_text(block.text)
    wanted = [one for one in page.blocks if one.language in SHELL and not one.excuse]
    script = "".join(f"echo '+ {page.name}:{one.line}' >&2\n{one.text}" for one in wanted)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_and_flag_that_is_named_exists(page: Page) -> None:
    texts = [one.text for one in page.blocks if one.language in SHELL]
    for text in (*texts, *page.indented):
        for words in commands_in(text):
            check(words)


@pytest.mark.parametrize("page", of("yaml"), ids=named)
def test_every_piece_of_yaml_is_a_valid_resource(
    page: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, block in enumerate(page.blocks):
        if block.language == "yaml" and not block.excuse:
            path = tmp_path / f"{at}.yaml"
            path.write_text(block.text)
            status = main(["validate", "-f", str(path)])
            said = capsys.readouterr()
            assert status == 0, f"{page.name}:{block.line}\n{said.out}{said.err}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_is_not_run_says_why(page: Page) -> None:
    for block in page.blocks:
        assert block.language or not list(commands_in(block.text)), (
            f"{page.name}:{block.line}: commands in a block of no language are not run"
        )


@pytest.mark.parametrize(
    "line", ["tortie no-such-thing", "tortie get --no-such-flag", "tortie lab nothing"]
)
def test_a_command_that_does_not_exist_would_be_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check(next(commands_in(line)))
