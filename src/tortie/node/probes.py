"""Whether this node's daemons live and are ready, for a supervisor's probes.

Asked of the daemons themselves: the agent's health pages (its socket where it serves none), BIRD's
own control socket, the BGP daemon's. Each check answers with a reason, "" where all is well. A
probe runs every few seconds, so nothing heavy is loaded.
"""

import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

PATIENCE = 5.0  # seconds; a supervisor gives up after about as much
_PORT = "9099"
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_CHUNK = 65536
_MOST = 1 << 20  # bytes of an answer
_RECOVERING = "Graceful restart recovery in progress"
_BIRD_END = re.compile(rb"^(?:0\d\d\d|[89]\d\d\d) ", re.MULTILINE)
_BOOTED = "%Y-%m-%d %H:%M:%S"


class Places(NamedTuple):
    """Where to ask. `health` is host and port of the agent's pages; None: its socket."""

    agent: str
    bgp: str
    bird: str
    health: tuple[str, int] | None


def places(environ: Mapping[str, str], run_dir: str) -> Places:
    """As the environment of the agent says. Raises ValueError for a port that is none."""
    health = None
    if environ.get("FELIX_HEALTHENABLED", "").lower() in _TRUE:
        port = environ.get("FELIX_HEALTHPORT") or _PORT
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"FELIX_HEALTHPORT is {port!r}: use a number from 1 to 65535")
        health = (environ.get("FELIX_HEALTHHOST") or "localhost", int(port))
    bgp = f"{run_dir}/bgp"
    return Places(f"{run_dir}/agent.sock", f"{bgp}.sock", f"{bgp}/bird/bird.ctl", health)


def felix_live(where: Places) -> str:
    """Whether the agent moves."""
    if where.health is not None:
        return _page(where.health, "/liveness")
    status = _ask(where.agent)
    return status if isinstance(status, str) else "; ".join(status.get("not_live", ()))


def felix_ready(where: Places) -> str:
    """Whether the agent does its job."""
    if where.health is not None:
        return _page(where.health, "/readiness")
    status = _ask(where.agent)
    return status if isinstance(status, str) else "; ".join(status["waiting_for"])


def bird_live(where: Places) -> str:
    """Whether BIRD answers."""
    answer = _bird(where.bird)
    return "" if answer.startswith("0001 ") else f"BIRD does not answer: {answer}"


def bird_ready(where: Places, version: int, threshold: float, now: datetime) -> str:
    """Whether BIRD has the sessions of an IP version that it should have.

    In the first `threshold` seconds of its life that is all, later one at least: a peer that is
    away must not take down who could not do anything about it.
    """
    answer = _bird(where.bird)
    if _RECOVERING in answer:
        return "BIRD recovers from a restart: routes of its peers are still coming"
    status = _ask(where.bgp)
    if isinstance(status, str):
        return status
    return judge_sessions(status, version, threshold, now)


def judge_sessions(status: Mapping[str, Any], version: int, threshold: float, now: datetime) -> str:
    """The same, of what the BGP daemon's socket answers to "status". Pure."""
    if not status["bird"]["running"]:
        return f"BIRD does not answer: {status['bird']['away']}"
    if not status["in_sync"]:
        return "the datastore has not been read yet, so BIRD has been told nothing"
    sessions = [one for one in status["sessions"] if one["ip_version"] == version]
    waiting = [one["peer"] for one in sessions if one["state"] != "Established"]
    if not waiting:
        return ""
    is_young = _age(status["bird"]["said"].get("booted", ""), now) < threshold
    if is_young or len(waiting) == len(sessions):
        return f"no BGP session with {', '.join(waiting)}"
    return ""


def _age(booted: str, now: datetime) -> float:
    """Seconds since BIRD started; it writes the machine's local time."""
    try:
        return (now - datetime.strptime(booted[:19], _BOOTED)).total_seconds()
    except ValueError:
        return float("inf")


def problems(
    where: Places, checks: Sequence[str], threshold: float, now: datetime
) -> list[tuple[str, str]]:
    """Each of `checks` that fails, with the reason."""
    known: Mapping[str, Callable[[], str]] = {
        "felix-live": lambda: felix_live(where),
        "felix-ready": lambda: felix_ready(where),
        "bird-live": lambda: bird_live(where),
        "bird6-live": lambda: bird_live(where),
        "bird-ready": lambda: bird_ready(where, 4, threshold, now),
        "bird6-ready": lambda: bird_ready(where, 6, threshold, now),
    }
    found = ((check, known[check]()) for check in checks)
    return [(check, reason) for check, reason in found if reason]


def _page(where: tuple[str, int], path: str) -> str:
    """A page of the agent's, which is in the answer where it says that something is missing."""
    host, port = where
    try:
        with socket.create_connection((host, port), PATIENCE) as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            answer = _all(sock)
    except OSError as problem:
        return f"the agent's health page at {host}:{port} does not answer: {_why(problem)}"
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) > 1 and words[1] in (b"200", b"204"):
        return ""
    said = "; ".join(body.decode("utf-8", "replace").split("\n")).strip("; ")
    return said or f"what answers at {host}:{port} is not the agent"


def _ask(path: str) -> dict[str, Any] | str:
    """The status of the daemon at a socket, or why there is none."""
    try:
        with _connected(path) as sock:
            sock.sendall(b'{"verb":"status"}\n')
            answer = _until_line(sock)
        found = json.loads(answer)
    except OSError as problem:
        return f"{path} does not answer: {_why(problem)}"
    except ValueError:
        return f"{path}: what answers is no daemon of ours"
    if isinstance(found, dict) and found.get("ok"):
        return found
    return f"{path}: {found.get('error') if isinstance(found, dict) else 'no status'}"


def _bird(path: str) -> str:
    """What BIRD says of itself: its greeting and its status; else why it does not."""
    answer = b""
    try:
        with _connected(path) as sock:
            sock.sendall(b"show status\n")
            while not _ended(answer):
                part = sock.recv(_CHUNK)
                if not part or len(answer) > _MOST:
                    break
                answer += part
    except OSError as problem:
        return f"{path}: {_why(problem)}"
    return answer.decode("utf-8", "replace")


def _ended(answer: bytes) -> bool:
    """The greeting is one whole reply, the status another."""
    return len(_BIRD_END.findall(answer)) > 1 and answer.endswith(b"\n")


def _connected(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _until_line(sock: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith(b"\n") and len(answer) <= 64 * _MOST:
        part = sock.recv(_CHUNK)
        if not part:
            break
        answer += part
    return answer


def _all(sock: socket.socket) -> bytes:
    answer = b""
    while (part := sock.recv(_CHUNK)) and len(answer) < _MOST:
        answer += part
    return answer


def _why(problem: OSError) -> str:
    return (
        "no answer in time"
        if isinstance(problem, TimeoutError)
        else problem.strerror or str(problem)
    )
