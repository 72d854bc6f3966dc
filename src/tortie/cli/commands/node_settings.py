"""The settings that this node's agent has in force, and who set each.

Without --all only what is not at its default; -o json has all of them. Run it on the node, as root.
Status 1 where some are not in force as they are written; the reasons are shown.
"""

import argparse
import json
import os
from typing import Any

from tortie.cli.asking import ask, run_dir_of
from tortie.cli.terminal import paint, table

_SOCKET = "agent.sock"
_HEADER = ("PARAMETER", "VALUE", "SET BY", "TAKES EFFECT")


def arguments(parser: argparse.ArgumentParser) -> None:
    """How to show them, and whose."""
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--all", action="store_true", help="show defaults too")
    parser.add_argument("--run-dir", metavar="DIR", help="the agent's (TORTIE_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    """Show them."""
    path = os.path.join(run_dir_of(options.run_dir), _SOCKET)
    answer = ask(path, "settings", "tortie agent")
    if options.output == "json":
        print(json.dumps({name: each for name, each in answer.items() if name != "ok"}, indent=2))
    else:
        print("\n".join(_lines(answer, options.all)))
    return 1 if answer["problems"] else 0


def _lines(answer: dict[str, Any], with_defaults: bool) -> list[str]:
    shown = [one for one in answer["settings"] if with_defaults or one["is_set"]]
    lines = [table(_HEADER, map(_row, shown))] if shown else ["all settings are at their defaults"]
    lines += [paint(problem, "yellow") for problem in answer["problems"]]
    return lines


def _row(setting: dict[str, Any]) -> tuple[str, ...]:
    return setting["name"], setting["value"] or "-", setting["set_by"], setting["takes_effect"]
