"""O2: live migration under OpenStack."""

import configparser

from tortie.requirements.machine import Machine
from tortie.requirements.model import Check, Finding, missing, ok, warning
from tortie.requirements.modes import Purpose

_FILES = ("etc/nova/nova.conf", "etc/nova/nova-cpu.conf")
_OPTION = "live_migration_wait_for_vif_plug"
_FALSE = ("false", "0", "no", "off")


def judge(machine: Machine) -> Finding:
    """By nova.conf, and the files beside it that Nova reads after it."""
    folder = [f"etc/nova/nova.conf.d/{name}" for name in machine.listing("etc/nova/nova.conf.d")]
    texts = [text for name in (*_FILES, *folder) if (text := machine.text(name))]
    return judge_texts(texts)


def judge_texts(texts: list[str]) -> Finding:
    """What Nova's files say, later ones over earlier ones."""
    if not texts:
        return warning("there is no /etc/nova/nova.conf here", "check it on the compute nodes")
    parser = configparser.RawConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        for text in texts:
            parser.read_string(text)
    except configparser.Error as error:
        return warning(f"nova.conf can't be read: {error}".splitlines()[0], "mend it")
    value = parser.get("compute", _OPTION, fallback="") or ""
    if value.strip().lower() in _FALSE:
        return ok(f"{_OPTION} is {value.strip()}")
    return missing(
        f"{_OPTION} is {value.strip() or 'not set, which means true'}",
        f"set [compute] {_OPTION} = false in nova.conf of every compute node, restart nova-compute",
    )


CHECK = Check(
    "O2",
    "live migration",
    "--for openstack",
    "From Train on Nova waits, before it moves a virtual machine, for a notice of a plugged port"
    " that comes only after the move with networks such as ours. So"
    " `live_migration_wait_for_vif_plug` has to be false in `[compute]` of nova.conf.",
    judge,
    applies=lambda modes: modes.purpose is Purpose.OPENSTACK,
)
