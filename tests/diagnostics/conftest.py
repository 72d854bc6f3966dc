"""The command line in this process, on a datastore of its own."""

from pathlib import Path

import pytest

from strategies.command_line import Said, Tortie, Write
from tortie.cli.main import main


@pytest.fixture
def tortie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Tortie:
    """Run one command: `tortie("get", "pods")`."""
    monkeypatch.setenv("TORTIE_DATASTORE", str(tmp_path / "store.db"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Said:
        try:
            status = main(words)
        except SystemExit as ended:  # argparse: --help, a wrong option
            status = int(ended.code or 0)
        return Said(status, *capsys.readouterr())

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into the working directory; its name."""

    def written(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return name

    return written
