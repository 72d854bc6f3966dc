"""The `tortie` command."""

import os
import sys
from collections.abc import Sequence

from tortie.cli.dispatch import Command, Group, run_group
from tortie.cli.errors import INTERRUPTED, message_for

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
        "validate": Command("validate", "check files without touching any datastore"),
        "explain": Command("explain", "say what a kind or a field is"),
        "crds": Command("crds", "print CustomResourceDefinitions for Kubernetes"),
        "lab": Command("lab", "a cluster of network namespaces on this machine"),
        "agent": Command("agent", "run the node agent in the foreground"),
        "version": Command("version", "print the version"),
    },
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status. A person's mistake never shows a traceback."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in ("-V", "--version"):
        words = ["version"]
    try:
        return run_group(TORTIE, words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: `tortie get … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = message_for(error)
        if message is None:
            raise
        print(f"tortie: {message}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
