"""Clean this node of everything of ours: as if Tortie had never run here.

  tortie node reset              what there is, and what would go; nothing is changed
  tortie node reset --yes        remove it: workloads lose their network, then policy goes

Workloads' interfaces, tunnels, routes and routing rules by their numbers, nftables' tables, chains
and sets of both iptables, BIRD, wireguard-go, files in /run. What others made stays, and so do the
datastore and the plugin's files (`tortie cni remove`). It refuses while an agent or BGP runs here:
both would put it back.
"""

import argparse
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from tortie.cli.asking import run_dir_of
from tortie.cli.errors import UserError

if TYPE_CHECKING:  # the command line starts without them
    from tortie.install.reset.places import Places

_WORKLOADS = "cali"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to do it, and what else is ours."""
    parser.add_argument("--yes", action="store_true", help="do it; else it only says what would go")
    parser.add_argument("--run-dir", metavar="DIR", help="the agent's (TORTIE_RUN_DIR)")
    parser.add_argument(
        "--interface-prefix",
        metavar="NAME,...",
        default=_WORKLOADS,
        help="of workloads' interfaces, where they are ours to delete (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Look, and remove. Status 1 where something can't be removed."""
    from tortie.agent.runlock import AlreadyRunning
    from tortie.install.reset.running import nobody_else

    if os.geteuid() != 0:
        raise UserError("it looks into the kernel's firewall and routes: run it as root")
    run_dir = Path(run_dir_of(options.run_dir))
    _check_ours(run_dir)
    try:
        with nobody_else(run_dir):
            return _clean(options, _places(options, run_dir))
    except AlreadyRunning as problem:
        raise UserError(f"nothing is removed: {problem}") from None


def _check_ours(run_dir: Path) -> None:
    """All that is in it would go. Raises UserError where that can't be an agent's alone."""
    from tortie.agent.runlock import NAME
    from tortie.bgp.places import FOLDER

    found = run_dir.resolve()
    if found == found.parent or found.parent == Path(found.anchor):
        raise UserError(f"{run_dir} is the machine's own: name an agent's run directory")
    marks = (found / NAME, found / FOLDER / NAME)
    if found.is_dir() and any(found.iterdir()) and not any(mark.exists() for mark in marks):
        raise UserError(
            f"{run_dir} is no agent's run directory: there is no {NAME} in it, and all of it would"
            " be removed; name the agent's, or empty it yourself"
        )


def _clean(options: argparse.Namespace, places: "Places") -> int:
    from tortie.install.reset.parts import look, parts

    wanted = parts(places)
    found = {each.part.title: list(each.things) for each in look(wanted)}
    problems = {}
    for part in wanted if options.yes else ():
        try:
            part.remove()
        except OSError as problem:
            problems[part.title] = str(problem)
    if options.output == "json":
        print(json.dumps({"found": found, "removed": options.yes, "problems": problems}, indent=2))
    else:
        print("\n".join(_lines(found, options.yes)))
    for title, why in problems.items():
        raise UserError(f"{title} can't be removed: {why}")
    return 0


def _lines(found: dict[str, list[str]], removed: bool) -> list[str]:
    if not found:
        return ["nothing of ours is here"]
    lines = [f"{title}: {_short(things)}" for title, things in found.items()]
    return [*lines, "all of it is removed" if removed else "nothing is changed: say --yes to do it"]


def _short(things: list[str]) -> str:
    shown = ", ".join(things[:5])
    return f"{shown} and {len(things) - 5} more" if len(things) > 5 else shown


def _places(options: argparse.Namespace, run_dir: Path) -> "Places":
    """What an agent would call its own: by the environment, and by what it was told last."""
    from tortie.agent.remembered import Remembered
    from tortie.agent.settings import Settings, SettingsError
    from tortie.agent.sources import local_sources
    from tortie.install.reset.places import places_of
    from tortie.node.start_settings import NODENAME_FILE, SHUTDOWN_FILE

    try:
        local = local_sources(os.environ, os.environ.get("NODENAME") or socket.gethostname())
        settings = Settings(local.sources, Remembered(str(run_dir)).load())
    except SettingsError as problem:
        raise UserError(str(problem)) from None
    workloads = tuple(filter(None, options.interface_prefix.split(",")))
    files = (NODENAME_FILE, SHUTDOWN_FILE)
    return places_of(settings.configuration, run_dir, workloads, files)
