"""docs/requirements.md, of the checks themselves: what is looked at, and why, row by row. Pure."""

from collections.abc import Iterator
from textwrap import fill

from tortie.requirements.model import Check, Documented
from tortie.requirements.registry import rows

_WIDTH = 98
_GROUPS = {
    "N": "Node",
    "K": "Datastore",
    "P": "Between hosts",
    "B": "Kubernetes",
    "O": "OpenStack",
    "L": "Kernel",
    "S": "Beside the rows",
}
_HEAD = """\
# Requirements

What a node needs, row by row, and what `tortie node check` looks at for each. This page is written
by `make requirements` of the checks themselves.

```sh
tortie node check || echo "status $?"
tortie node check --for hosts --dataplane iptables --encap none || echo "status $?"
tortie node check --encap ipip,bgp -o json > check.json || echo "status $?"
```

Without `--encap`, by the pools that the datastore has; `--all` shows rows that the modes don't
need, too. `tortie node checksystem` is the same. Exit status: 0 all is well; 1 something that the
chosen modes need is missing; 3 only warnings.

Each thing is tried, not looked up by a name: devices, rules, sets, programs are made in a network
namespace that has no name and ends with the process that made it. Nothing is left behind, whatever
kills the check. What only modes need that are not chosen is not tried. Without root a user
namespace serves, where the machine allows those; what can't be tried then is a warning that names
the capability. From a pod that has its host's files at /host: `--root /host`.

Have NetworkManager leave our interfaces alone (row N4), the one thing that is ever written:

<!-- not run: it writes below /etc -->
```sh
tortie node check --fix
```

Between two nodes, rows P1 to P9 and the path's MTU. The first command shows a key, and the other
node is given it:

<!-- not run: it takes two nodes -->
```sh
tortie node check --listen
TORTIE_CHECK_KEY=... tortie node check --peer 192.0.2.7
```

The listener answers only who has the key (HMAC-SHA-256 over each line), for ten minutes, four at
once; it opens only the ports below, and sends only to who asks. A port that a daemon has counts as
passing if the daemon answers (TCP), or if the packet is seen beside it (UDP, protocol 4).
"""
_TAIL = """\
## For who adds one

One module in `src/tortie/requirements/checks/`, named by its row, with a `CHECK`: its `judge` says
what it means, and what to do. What has to be tried of the kernel is a trial
(`src/tortie/requirements/trials/`), named in `CHECK.trials`. One line in `registry.py`; then
`make requirements`. Invariants:

- **A check changes nothing.** It is run on machines in use. The one exception is `--fix`, which
  writes one file, whole. Held by a test that compares namespaces, devices, tables, sets, mounts and
  processes before and after, also after kill -9.
- **No name proves a thing.** A module may be built in, renamed, or there and broken: it is tried.
- **What can't be tried is never told as there**, nor as missing: it is a warning that names the
  right that lacks.
- **An error only where the modes need it.** Whoever has no IPIP can't be told to care about it.
- **Pure verdicts.** `judge_…` take values, so that each verdict is tested without a machine.

## What a reviewer should reject

- A trial in the machine's own namespace, a named namespace, a pinned program, a temporary file.
- A check without a test of both verdicts: there, and taken away.
- A question to the listener that opens another port, sends elsewhere, or is answered without a key.
- A check that takes long: all of them together have two seconds.
"""


def requirements_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections(), _TAIL])


def _sections() -> Iterator[str]:
    for letter, title in _GROUPS.items():
        yield f"## {title}\n"
        for one in rows():
            if one.row[0] == letter:
                yield _entry(one)


def _entry(one: Check | Documented) -> str:
    if isinstance(one, Documented):
        return _filled(f"**{one.row} {one.what}** (documented only): {one.reason}")
    return _filled(f"**{one.row} {one.what}** ({one.needed}): {one.about}")


def _filled(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"
