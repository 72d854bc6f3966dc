"""The parts around the agent: lock and control socket."""

import asyncio
import json
import os
import socket
import stat

import pytest

from tortie.agent.control import ControlServer
from tortie.agent.runlock import AlreadyRunning, NamespaceLock, RunLock
from tortie.linux.namespaces import create_named, delete_named, in_namespace


def test_one_run_directory_has_one_agent(tmp_path):
    run_dir = str(tmp_path / "run")
    lock = RunLock(run_dir)
    with pytest.raises(AlreadyRunning) as caught:
        RunLock(run_dir)
    assert str(os.getpid()) in str(caught.value)
    assert "\n" not in str(caught.value)
    lock.release()
    RunLock(run_dir).release()


@pytest.mark.root
def test_one_network_namespace_has_one_agent():
    first, second = f"tortie-lock-a-{os.getpid()}", f"tortie-lock-b-{os.getpid()}"
    paths = create_named(first), create_named(second)
    try:
        with in_namespace(paths[0]):
            lock = NamespaceLock()
            with pytest.raises(AlreadyRunning) as caught:
                NamespaceLock()
        assert f"(process {os.getpid()})" in str(caught.value)
        assert "\n" not in str(caught.value)
        with in_namespace(paths[1]):
            NamespaceLock().release()
        lock.release()
        with in_namespace(paths[0]):
            NamespaceLock().release()
    finally:
        delete_named(first)
        delete_named(second)


def talk(path, *lines):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(b"".join(lines))
        client.shutdown(socket.SHUT_WR)
        data = b""
        while part := client.recv(65536):
            data += part
    return [json.loads(line) for line in data.splitlines()]


def with_control(path, lines, handlers):
    async def go():
        server = ControlServer(str(path))
        for verb, handler in handlers.items():
            server.register(verb, handler)
        await server.start()
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
            return mode, await asyncio.to_thread(talk, str(path), *lines)
        finally:
            await server.close()

    return asyncio.run(go())


async def echo(request):
    return {"ok": True, "said": request.get("say")}


async def broken(request):
    raise ZeroDivisionError(request["verb"])


def test_the_control_socket_answers_line_by_line_and_survives_nonsense(tmp_path):
    path = tmp_path / "agent.sock"
    lines = [
        b'{"verb":"echo","say":1}\n',
        b"nonsense\n",
        b"[1]\n",
        b'{"verb":"what"}\n',
        b'{"verb":"broken"}\n',
        b'{"verb":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        b'{"verb":"' + b"x" * 100_000 + b'"}\n',
        b'{"verb":"echo","say":2}\n',
    ]
    mode, answers = with_control(path, lines, {"echo": echo, "broken": broken})
    assert mode == 0o600
    assert answers[0] == {"ok": True, "said": 1}
    assert "not a JSON object" in answers[1]["error"]
    assert "not a JSON object" in answers[2]["error"]
    assert answers[3]["error"] == "unknown verb 'what': there are broken, echo"
    assert answers[4] == {"ok": False, "error": "ZeroDivisionError: broken"}
    assert "not a JSON object" in answers[5]["error"]
    assert len(answers[6]["error"]) < 100
    assert answers[7] == {"ok": True, "said": 2}
    assert not path.exists()


def test_hundreds_of_plugins_may_call_in_one_moment(tmp_path):
    path = tmp_path / "agent.sock"

    def call_all():
        clients = [socket.socket(socket.AF_UNIX) for _ in range(300)]
        try:
            for client in clients:  # none waits for the loop, which may be busy just then
                client.setblocking(False)
                client.connect(str(path))
        finally:
            for client in clients:
                client.close()

    async def go():
        server = ControlServer(str(path))
        await server.start()
        call_all()  # in the loop's own thread: it accepts nobody meanwhile
        await server.close()

    asyncio.run(go())


def test_a_socket_left_by_a_killed_agent_is_replaced(tmp_path):
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    _, answers = with_control(path, [b'{"verb":"echo","say":3}\n'], {"echo": echo})
    assert answers == [{"ok": True, "said": 3}]
