"""N4: NetworkManager has to leave our interfaces alone."""

import configparser
import fnmatch
from collections.abc import Iterable, Iterator

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, ok, warning

INTERFACES = (
    "cali*",
    "tunl*",
    "vxlan.calico",
    "vxlan-v6.calico",
    "wireguard.cali",
    "wg-v6.cali",
)
FILE = "etc/NetworkManager/conf.d/calico.conf"
_MAIN = "etc/NetworkManager/NetworkManager.conf"
_FOLDERS = (
    "usr/lib/NetworkManager/conf.d",
    "run/NetworkManager/conf.d",
    "etc/NetworkManager/conf.d",
)
_PROCESS = "NetworkManager"
_STATE = "run/NetworkManager/devices"  # of one that a container can't see
TEXT = (
    "# Interfaces of workloads and tunnels: the node agent sets them up.\n[keyfile]\n"
    f"unmanaged-devices+={';'.join(f'interface-name:{name}' for name in INTERFACES)}\n"
)


def judge(machine: Machine) -> Finding:
    """Whether it runs, and by its configuration manages ours."""
    runs = _PROCESS in machine.processes or machine.path(_STATE).is_dir()
    return judge_list(runs, unguarded(texts(machine)))


def judge_list(runs: bool, left: list[str]) -> Finding:
    """`left`: those of our interfaces that it would manage."""
    if not runs:
        return ok("it does not run")
    if not left:
        return ok("it runs, and leaves our interfaces alone")
    return warning(
        f"it runs and would manage {', '.join(left)}",
        f"`tortie node check --fix` writes /{FILE}; then `systemctl reload NetworkManager`",
    )


def texts(machine: Machine) -> Iterator[str]:
    """Its configuration's files, in the order in which later ones overrule."""
    places: dict[str, str] = {}
    for folder in _FOLDERS:  # a file hides that of the same name in folders before it
        for name in machine.listing(folder):
            if name.endswith(".conf"):
                places[name] = f"{folder}/{name}"
    yield machine.text(_MAIN)
    yield from (machine.text(places[name]) for name in sorted(places))


def unguarded(files: Iterable[str]) -> list[str]:
    """Those of INTERFACES that it would manage by these files."""
    entries: list[str] = []
    for text in files:
        entries = _after(entries, text)
    patterns = [
        one.partition(":")[2].removeprefix("=")
        for one in entries
        if one.startswith(("interface-name:", "interface-name="))
    ]
    return [name for name in INTERFACES if not any(_covers(one, name) for one in patterns)]


def _covers(pattern: str, name: str) -> bool:
    """Whether a pattern matches everything that `name`, maybe with a star, matches."""
    return fnmatch.fnmatchcase(name.replace("*", "0"), pattern) and (
        "*" not in name or pattern.endswith("*")
    )


def _after(entries: list[str], text: str) -> list[str]:
    """The list of devices after one more file; "+=" adds to it, "=" is it, "-=" takes away."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return entries
    for key, value in parser.items("keyfile") if parser.has_section("keyfile") else ():
        words = [word.strip() for word in value.replace(",", ";").split(";") if word.strip()]
        if key == "unmanaged-devices":
            entries = words
        elif key == "unmanaged-devices+":
            entries = [*entries, *words]
        elif key == "unmanaged-devices-":
            entries = [one for one in entries if one not in words]
    return entries


_NAMED = ", ".join(f"`{name}`" for name in INTERFACES)

CHECK = Check(
    "N4",
    "NetworkManager",
    "always",
    "Looked at: whether it runs, and whether its configuration's `[keyfile] unmanaged-devices`"
    f" names {_NAMED}, over all its files in their order. It would take away routes and addresses"
    f" that it does not know. `--fix` writes `/{FILE}`, whole or not at all; nothing is reloaded.",
    judge,
)
