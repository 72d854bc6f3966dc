"""The `tortie` command."""

import os
import sys
from collections.abc import Sequence

from tortie.cli.dispatch import Command, Group, run_group
from tortie.cli.errors import INTERRUPTED, message_for
from tortie.cli.lean import collect_seldom, load_structlog

TORTIE = Group(
    "tortie",
    "Networking and network policy for pods, VMs, containers and bare hosts.",
    {
        "get": Command("get", "show resources"),
        "apply": Command("apply", "make resources be as the files say"),
        "create": Command("create", "create resources that are not there yet"),
        "replace": Command("replace", "replace resources that are there"),
        "delete": Command("delete", "remove resources"),
        "patch": Command("patch", "change fields of resources"),
        "label": Command("label", "set and remove labels of resources"),
        "diff": Command("diff", "show what apply would change"),
        "trace": Command("trace", "say whether a connection would pass, and why"),
        "verify": Command("verify", "check assertions of who reaches whom"),
        "validate": Command("validate", "check files without touching any datastore"),
        "status": Command("status", "how the whole cluster is, and what is wrong"),
        "cluster": Command("cluster", "pack the cluster's state for who has to look into it"),
        "explain": Command("explain", "say what a kind or a field is"),
        "crds": Command("crds", "print CustomResourceDefinitions for Kubernetes"),
        "datastore": Command("datastore", "move the cluster to another datastore"),
        "ipam": Command("ipam", "say who holds addresses, and find those that leaked"),
        "lab": Command("lab", "a cluster of network namespaces on this machine"),
        "agent": Command("agent", "run the node agent in the foreground"),
        "cni": Command("cni", "install and remove the plugin of container runtimes"),
        "bgp": Command("bgp", "run this node's BGP in the foreground"),
        "node": Command("node", "start, judge, mend and reset this node"),
        "fanout": Command("fanout", "run the server that follows the datastore for many agents"),
        "controllers": Command("controllers", "run what the cluster needs seen to"),
        "install": Command("install", "install on Kubernetes, or on a host without it"),
        "uninstall": Command("uninstall", "remove from a cluster what was installed there"),
        "completion": Command("completion", "let a shell complete words and names"),
        "version": Command("version", "print the version"),
    },
    {
        "__complete": Command("complete", "print what a word can become"),
        "__complete_plugin": Command("complete_plugin", "the same, as kubectl asks for it"),
    },
    """
Before COMMAND, as with calicoctl: -l LEVEL, -c FILE, --datastore WHICH,
--context NAME, -n NAME, --allow-version-mismatch. As a kubectl plugin it is
called `kubectl tortie`, or `kubectl calico`.
""",
)
_DAEMONS = ("agent", "bgp", "controllers", "fanout")
_WITH_VALUE = (
    "-l",
    "--log-level",
    "-c",
    "--config",
    "--datastore",
    "-n",
    "--namespace",
    "--context",
)
_ALONE = ("--allow-version-mismatch",)


def main(words: Sequence[str] | None = None, program: str = "") -> int:
    """Run one command line; the exit status. A person's mistake never shows a traceback.

    `program` is the name by which it was called (default: argv[0]).
    """
    if words is None:
        collect_seldom()
        words, program = sys.argv[1:], os.path.basename(sys.argv[0])
    if program.startswith("kubectl_complete-"):  # how kubectl asks a plugin to complete
        words = ["__complete_plugin", *words]
    if words and words[0] in ("-V", "--version"):
        words = ["version"]
    try:
        leading, rest = _split(words)
        if rest and rest[0] in _DAEMONS:
            load_structlog()
        status = run_group(TORTIE._replace(name=_called(program)), rest, leading)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: `tortie get … | head`
        _drop_unwritten()
        return 1
    except Exception as error:
        message = message_for(error)
        if message is None:
            raise
        print(f"tortie: {message}", file=sys.stderr)
        _drop_unwritten()
        return 1


def _drop_unwritten() -> None:
    """What our output does not take: Python would try again at its end, and show a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _called(program: str) -> str:
    """How a person calls it: "kubectl-tortie" is the plugin `kubectl tortie`."""
    if program.startswith("kubectl-"):
        return program.replace("-", " ", 1)
    return program if program == "calicoctl" else "tortie"


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The options before the command, and the rest."""
    at = 0
    while at < len(words):
        option, equals, _ = words[at].partition("=")
        if option in _WITH_VALUE:
            at += 1 if equals and option.startswith("--") else 2
        elif words[at] in _ALONE:
            at += 1
        else:
            break
    return words[:at], words[at:]


if __name__ == "__main__":
    sys.exit(main())
