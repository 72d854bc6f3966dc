"""A node's agent: a process inside the node's namespace, with its own sockets."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from tortie.lab.errors import LabError
from tortie.lab.journal import Journal, Process
from tortie.lab.plan import Encap, Shape, Station
from tortie.lab.processes import is_alive, resident_bytes, spawn
from tortie.lab.served import agents_datastore
from tortie.lab.wire import ask

# Seconds, on a busy machine; more for an emulated one.
START_TIMEOUT = float(os.environ.get("TORTIE_LAB_PATIENCE", "30"))
_POLL = 0.02  # seconds
_LAST_LINES = 5
_OPTIONS = {4: "--address", 6: "--address6"}
_WAYS: Mapping[Encap, Mapping[str, str]] = {
    Encap.NONE: {"FELIX_PROGRAMCLUSTERROUTES": "Enabled"},
    Encap.WIREGUARD: {
        "FELIX_PROGRAMCLUSTERROUTES": "Enabled",
        "FELIX_WIREGUARDENABLED": "true",
        "FELIX_WIREGUARDENABLEDV6": "true",
    },
}
_SETTINGS = {"FELIX_HEALTHENABLED": "true", "FELIX_PROMETHEUSMETRICSENABLED": "true"}


class NodeStatus(NamedTuple):
    """What a node's agent says of itself; `state` is ready, waiting or down."""

    node: Station
    state: str
    reason: str
    revision: int
    endpoints: int
    policies: int
    resident: int  # bytes


def role(node: Station) -> str:
    """The journal's name for a node's agent."""
    return f"agent-{node.name}"


def ensure_agent(journal: Journal, node: Station, shape: Shape) -> Process:
    """Start the node's agent unless it runs."""
    process = journal.process(role(node))
    if process is not None and is_alive(process):
        return process
    journal.node_dir(node.name)
    environment = _environment(journal, shape)
    return spawn(journal, role(node), node.namespace, _command(journal, node), environment)


def ensure_bgp(journal: Journal, node: Station, shape: Shape) -> None:
    """Start the node's BGP (and BIRD with it) where the lab is to have it, unless it runs."""
    name = f"bgp-{node.name}"
    if shape.encap is not Encap.BGP or is_alive(journal.process(name)):
        return
    command = [
        *(sys.executable, "-m", "tortie.cli", "bgp", "--node", node.name),
        *("--run-dir", str(journal.node_dir(node.name))),
    ]
    spawn(journal, name, node.namespace, command, _environment(journal, shape))


async def await_ready(journal: Journal, node: Station, patience: float = START_TIMEOUT) -> None:
    """Return once the agent has all of the datastore in the kernel. Raises LabError."""
    reason = "it did not answer"
    try:
        async with asyncio.timeout(patience):
            while True:
                status = await status_of(journal, node)
                if status.state == "ready":
                    return
                if status.state == "down":
                    raise LabError(
                        f"the agent of {node.name} has ended: {_last_words(journal, node)}"
                    )
                reason = status.reason or reason
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise LabError(
            f"the agent of {node.name} was not ready after {patience:g} s: {reason}"
            f" (log: {journal.log(role(node))})"
        ) from None


async def status_of(journal: Journal, node: Station) -> NodeStatus:
    """What the agent says, or that it does not."""
    process = journal.process(role(node))
    if process is None or not is_alive(process):
        return NodeStatus(node, "down", "its agent does not run", 0, 0, 0, 0)
    try:
        reply = await ask(journal.agent_socket(node.name), {"verb": "status"}, 5.0)
    except LabError as error:
        return NodeStatus(node, "waiting", str(error), 0, 0, 0, resident_bytes(process))
    return _status(node, process, reply)


async def await_revision(journal: Journal, node: Station, revision: int, patience: float) -> None:
    """Return once this revision is in the node's kernel. Raises LabError.

    An agent may begin anew for settings of that very revision: then the new one is asked.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        if await _has_applied(journal, node, revision, deadline - clock()):
            return
        await asyncio.sleep(_POLL)


async def _has_applied(journal: Journal, node: Station, revision: int, patience: float) -> bool:
    """Whether it is there within so many seconds; False: ask again."""
    within = max(0.0, patience)
    request = {"verb": "wait", "revision": revision, "timeout": within}
    try:
        reply = await ask(journal.agent_socket(node.name), request, within + 1.0)
    except LabError as error:
        if patience > 0 and is_alive(journal.process(role(node))):  # it has closed its socket
            return False
        raise LabError(
            f"the agent of {node.name} does not answer ({error}): `tortie lab status` says more,"
            f" `tortie lab up` starts it again"
        ) from None
    if reply.get("ok"):
        return True
    if patience > 0 and reply.get("stopping"):
        return False
    raise LabError(f"{node.name}: {reply.get('error')}")


def _status(node: Station, process: Process, reply: Mapping[str, Any]) -> NodeStatus:
    ready = bool(reply.get("ready"))
    failures = "; ".join(map(_in_words, reply.get("failures", ())))
    waiting = "; ".join(map(str, reply.get("waiting_for", ())))
    return NodeStatus(
        node,
        "ready" if ready else "waiting",
        failures or waiting or ("" if ready else "not in sync yet"),
        int(reply.get("revision", 0)),
        int(reply.get("endpoints", 0)),
        int(reply.get("policies", 0)),
        resident_bytes(process),
    )


def _in_words(failure: Mapping[str, str]) -> str:
    """What a driver could not do."""
    return ": ".join(failure[field] for field in ("driver", "subject", "message"))


def _command(journal: Journal, node: Station) -> list[str]:
    return [
        *(sys.executable, "-m", "tortie.cli", "agent"),
        *("--node", node.name),
        *("--run-dir", str(journal.node_dir(node.name))),
        *(
            word
            for version, option in _OPTIONS.items()
            if (address := node.address_of(version)) is not None
            for word in (option, str(address))
        ),
    ]


def pythons_environment() -> dict[str, str]:
    """What of our environment a process needs to find Python and its libraries."""
    kept = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LD_LIBRARY_PATH")
    return {key: os.environ[key] for key in kept if key in os.environ}


def _environment(journal: Journal, shape: Shape) -> dict[str, str]:
    """The agent's environment: none of ours but FELIX_*, and which datastore is the lab's."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("FELIX_")}
    ours.pop("FELIX_FELIXHOSTNAME", None)  # would be every node's name
    way = _WAYS.get(shape.encap, {})
    return {**pythons_environment(), **_SETTINGS, **way, **ours, **agents_datastore(journal)}


def _last_words(journal: Journal, node: Station) -> str:
    log = journal.log(role(node))
    lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
    return "\n  ".join([f"its log ({log}) ends with:", *lines]) if lines else "it said nothing"
