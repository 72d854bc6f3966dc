"""Words of a command line find their command, cheaply, and mistakes are told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tortie as package
from strategies.command_line import Tortie
from tortie.cli.commands.lab import GROUP as LAB
from tortie.cli.dispatch import PACKAGE
from tortie.cli.main import TORTIE


def test_the_version_is_printed(tortie: Tortie) -> None:
    assert tortie("version") == (0, f"tortie {package.__version__}\n", "")
    assert tortie("--version") == tortie("version")
    assert tortie("version", "-o", "json").out == f'{{"version": "{package.__version__}"}}\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lba"], "there is no command 'tortie lba': did you mean 'tortie lab'?"),
        (["lab", "sattus"], "there is no command 'tortie lab sattus': did you mean 'tortie lab s"),
        (["xyzzy"], "there is no command 'tortie xyzzy': see 'tortie --help'"),
    ],
)
def test_an_unknown_command_names_the_nearest(
    tortie: Tortie, words: list[str], message: str
) -> None:
    said = tortie(*words)
    assert said.status == 1
    assert said.err.startswith(f"tortie: {message}")
    assert said.err.count("\n") == 1


def test_help_lists_every_command_without_importing_it(tortie: Tortie) -> None:
    said = tortie("--help")
    assert said.status == 0
    for name, command in TORTIE.commands.items():
        assert name in said.out
        assert command.summary in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("name", [*TORTIE.commands, *(f"lab {name}" for name in LAB.commands)])
def test_every_command_has_help_that_fits(
    tortie: Tortie, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = tortie(*name.split(), "--help")
    assert said.status == 0
    assert f"usage: tortie {name}" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_no_words_at_all_show_the_help(tortie: Tortie) -> None:
    said = tortie()
    assert (said.status, said.out) == (2, tortie("--help").out)


def imported_by(*words: str, datastore: str = "memory:") -> set[str]:
    """The modules that a command loads."""
    script = (
        "import sys, contextlib; from tortie.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "TORTIE_DATASTORE": datastore},
    )
    return set(ran.stderr.splitlines()[-1].split())


def test_version_loads_nothing_that_it_does_not_need() -> None:
    heavy = {"asyncio", "msgspec", "yaml", "rich", "sqlite3", "tortie.api", "tortie.lab"}
    assert not imported_by("version") & heavy


@pytest.mark.parametrize("daemon", ["agent", "bgp", "controllers", "fanout"])
def test_a_daemon_loads_nothing_that_only_people_or_other_datastores_need(daemon: str) -> None:
    loaded = imported_by(daemon, "--help")
    assert not loaded & {"rich", "httpx", "click", "pygments", "grpc", "cryptography"}
    assert "structlog" in loaded


def test_get_loads_neither_the_lab_nor_the_agent() -> None:
    loaded = imported_by("get", "tiers")
    heavy = {"rich", "structlog", "prometheus_client", "pyroaring", "yaml", "ctypes"}
    assert not loaded & heavy
    assert f"{PACKAGE}.get" in loaded
    assert not {name for name in loaded if name.startswith(("tortie.lab", "tortie.agent"))}


def test_get_on_a_file_loads_no_event_loop_and_only_its_own_kind(
    tortie: Tortie, tmp_path: Path
) -> None:
    (tmp_path / "tier.yaml").write_text(
        "{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}, spec: {}}"
    )
    tortie("apply", "-f", "tier.yaml")
    loaded = imported_by("get", "tiers", datastore=str(tmp_path / "store.db"))
    assert "tortie.api.calico.tier" in loaded
    heavy = {"asyncio", "concurrent.futures", "shutil", "tortie.selectors", "tortie.kubernetes"}
    assert not loaded & heavy
    assert "tortie.api.calico.network_policy" not in loaded


def test_the_reader_of_a_pipe_may_go_away() -> None:
    command = f"{sys.executable} -m tortie.cli --help"
    with subprocess.Popen(
        command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
