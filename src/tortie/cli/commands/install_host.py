"""Install on this machine, without Kubernetes: units of systemd, /etc/tortie, folders.

  tortie install host --set ETCD_ENDPOINTS=http://10.0.0.1:2379
  tortie install host --daemons agent,bgp --check      what would change; nothing is written
  tortie install host --remove                         units and links go; settings stay

Doing it again changes nothing. Each line says "changed" or "unchanged", -o json the same for
programs. Status 0 either way; with --check 3 where something would change.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tortie.cli.errors import UserError

if TYPE_CHECKING:  # the command line starts without them
    from tortie.install.host.files import Change

_DAEMONS = ("agent", "bgp", "fanout", "controllers")
_WOULD_CHANGE = 3
_HIDDEN = ("/home/", "/root/", "/run/user/")  # by ProtectHome


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is wanted, and how to say what came of it."""
    parser.add_argument(
        "--daemons", metavar="NAME,...", default="agent", help=f"of {', '.join(_DAEMONS)}"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="in /etc/tortie/tortie.env; an empty value takes a line away",
    )
    parser.add_argument(
        "--check", action="store_true", help="say what would change, change nothing"
    )
    parser.add_argument("--remove", action="store_true", help="take the units away again")
    parser.add_argument("--purge", action="store_true", help="with --remove: settings go, too")
    parser.add_argument("--no-start", action="store_true", help="write files, leave systemd alone")
    parser.add_argument("--root", metavar="DIR", default="/", help="another system's root")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from tortie.install.host.files import write
    from tortie.install.host.systemd import NotTold

    root = Path(options.root)
    if options.purge and not options.remove:
        raise UserError("--purge goes with --remove")
    if os.geteuid() != 0 and not options.check and options.root == "/":
        raise UserError("it writes to /etc: run it as root, or with --check")
    changes = _changes(options, root)
    needed = [change for change in changes if change.is_needed]
    if options.check:
        _say(options, changes, [])
        return _WOULD_CHANGE if needed else 0
    try:
        done = _stop(options, needed)
        write(root, changes)
        done += _start(options, needed)
    except NotTold as problem:
        raise UserError(str(problem)) from None
    _say(options, changes, done)
    return 0


def _changes(options: argparse.Namespace, root: Path) -> "list[Change]":
    from tortie.install.host.files import chosen, installing, removing
    from tortie.install.host.settings import WrongSetting, parsed

    if options.remove:
        return removing(root, with_settings=options.purge)
    try:
        daemons = chosen([name for name in options.daemons.split(",") if name])
        return installing(root, daemons, parsed(options.set), _program(root))
    except KeyError as problem:
        raise UserError(f"there is no daemon {problem}: {', '.join(_DAEMONS)}") from None
    except WrongSetting as problem:
        raise UserError(str(problem)) from None


def _program(root: Path) -> str:
    """The `tortie` that units start: the one that runs. Another root may have it elsewhere."""
    found = shutil.which(sys.argv[0]) or shutil.which("tortie") or sys.argv[0]
    path = os.path.abspath(found)
    if not path.isprintable() or any(c in path for c in " %$\"'\\"):
        raise UserError(f"{path}: systemd starts no program of such a name")
    if path.startswith(_HIDDEN) and root == Path("/"):
        raise UserError(
            f"{path}: the units hide {', '.join(_HIDDEN)} from the daemons: install Tortie into"
            " /opt or /usr/local (python3 -m venv /opt/tortie)"
        )
    return path


def _stop(options: argparse.Namespace, needed: "list[Change]") -> list[str]:
    """Units that go are stopped before their files go."""
    from tortie.install.host import systemd

    if options.no_start or options.root != "/" or not systemd.runs():
        return []
    return systemd.stopped(
        [_unit(each) for each in needed if each.what == "remove" and _unit(each)]
    )


def _start(options: argparse.Namespace, needed: "list[Change]") -> list[str]:
    from tortie.install.host import systemd
    from tortie.install.host.files import chosen
    from tortie.install.host.units import SETTINGS

    if options.no_start or options.root != "/" or not systemd.runs() or options.remove:
        return []
    units = [f"{each.unit}.service" for each in chosen(options.daemons.split(","))]
    changed = [_unit(each) for each in needed]
    everything = any(each.path == SETTINGS for each in needed)
    return systemd.started(units, units if everything else changed)


def _unit(change: "Change") -> str:
    name = change.path.rpartition("/")[2]
    return name if name.endswith(".service") else ""


def _say(options: argparse.Namespace, changes: "list[Change]", done: list[str]) -> None:
    changed = any(each.is_needed for each in changes) or bool(done)
    if options.output == "json":
        files = [{"path": each.path, "change": each.what or "none"} for each in changes]
        report: dict[str, Any] = {"changed": changed, "files": files, "systemd": done}
        print(json.dumps(report, indent=2))
        return
    for each in changes:
        print(f"{each.path}: {f'changed ({each.what})' if each.is_needed else 'unchanged'}")
    for line in done:
        print(f"systemd: {line}")
    print("changed" if changed else "unchanged")
