"""What a probe makes of daemons that answer strangely, which no real one can be made to do."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tortie.node.probes import Places, bird_live, bird_ready, felix_live, felix_ready

NOW = datetime(2026, 5, 4, 12, 0, 0)
READY = {"ok": True, "ready": True, "waiting_for": [], "not_live": []}


@contextmanager
def answering(listener: socket.socket, *parts: bytes) -> Iterator[None]:
    """Whoever asks gets these parts, then the end."""
    listener.listen()
    listener.settimeout(30)

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.settimeout(30)
            client.recv(4096)
            for part in parts:
                client.sendall(part)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)
        listener.close()


def at(folder: Path, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / name))
    return listener


def where(folder: Path, health: tuple[str, int] | None = None) -> Places:
    return Places(*(str(folder / name) for name in ("agent", "bgp", "bird")), health)


@pytest.mark.parametrize(
    ("parts", "live", "ready"),
    [
        ([json.dumps(READY).encode() + b"\n"], "", ""),
        ([json.dumps(READY).encode()[:9], json.dumps(READY).encode()[9:] + b"\n"], "", ""),
        (
            [json.dumps({**READY, "waiting_for": ["a", "b"], "not_live": ["c", "d"]}).encode()],
            "c; d",
            "a; b",
        ),
        ([json.dumps({**READY, "pad": "x" * 3_000_000}).encode() + b"\n"], "", ""),
        ([b"HTTP/1.1 400\r\n\r\n"], *["{}: what answers is no daemon of ours"] * 2),
        ([b"[1]\n"], *["{}: no status"] * 2),
        ([b'{"ok": false, "error": "too many"}\n'], *["{}: too many"] * 2),
        ([], *["{}: what answers is no daemon of ours"] * 2),
    ],
)
def test_the_agents_answer(tmp_path: Path, parts: list[bytes], live: str, ready: str) -> None:
    asked: list[tuple[Callable[[Places], str], str]] = [(felix_live, live), (felix_ready, ready)]
    for number, (probe, wanted) in enumerate(asked):
        folder = tmp_path / str(number)
        folder.mkdir()
        with answering(at(folder, "agent"), *parts):
            assert probe(where(folder)) == wanted.format(folder / "agent")


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([b"HTTP/1.0 200 OK\r\n\r\nlive\n"], ""),
        ([b"HTTP/1.0 204 No Content\r\n\r\n"], ""),
        (
            [b"HTTP/1.0 503 x\r\n", b"\r\nnot ready\nthe datastore: away\n"],
            "not ready; the datastore: away",
        ),
        ([b"HTTP/1.0 500 x\r\n\r\n"], "what answers at 127.0.0.1:{} is not the agent"),
        ([b"200"], "what answers at 127.0.0.1:{} is not the agent"),
        ([], "what answers at 127.0.0.1:{} is not the agent"),
    ],
)
def test_the_agents_page(tmp_path: Path, parts: list[bytes], wanted: str) -> None:
    for probe in (felix_live, felix_ready):
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with answering(listener, *parts):
            assert probe(where(tmp_path, ("127.0.0.1", port))) == wanted.format(port)


GREETING = b"0001 BIRD 2.0.12 ready.\n"
UP = b"1000-BIRD 2.0.12\n1011-Router ID is 192.0.2.1\n0013 Daemon is up and running\n"
LATE = b"1000-BIRD 2.0.12\n0024 Graceful restart recovery in progress\n0013 Daemon is up\n"


@pytest.mark.parametrize(
    ("parts", "live"),
    [
        ([GREETING, UP], ""),
        ([GREETING + UP], ""),
        ([GREETING], ""),
        ([b"1000 something else\n"], "BIRD does not answer: 1000 something else\n"),
        ([], "BIRD does not answer: "),
    ],
)
def test_birds_answer(tmp_path: Path, parts: list[bytes], live: str) -> None:
    with answering(at(tmp_path, "bird"), *parts):
        assert bird_live(where(tmp_path)) == live


def test_bird_that_recovers_is_not_ready_whatever_its_sessions(tmp_path: Path) -> None:
    bird = {"running": True, "away": "", "said": {}}
    status = {"ok": True, "bird": bird, "in_sync": True, "sessions": []}
    said = json.dumps(status).encode() + b"\n"
    for number, (answer, wanted) in enumerate(((UP, ""), (LATE, "BIRD recovers from a restart"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with answering(at(folder, "bird"), GREETING, answer):
            if wanted:
                assert bird_ready(where(folder), 4, 30.0, NOW).startswith(wanted)
                continue
            with answering(at(folder, "bgp"), said):
                assert bird_ready(where(folder), 4, 30.0, NOW) == ""
