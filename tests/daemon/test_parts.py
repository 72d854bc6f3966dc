"""What every daemon has around its work: pages, health, a watchdog, logs."""

import asyncio
import io
import json
import os
import socket
import threading
from contextlib import AsyncExitStack, suppress

import pytest

from tortie.daemon.health import Health
from tortie.daemon.http import Answer, HttpServer
from tortie.daemon.log import configure_logs, dropped_lines, set_severity
from tortie.daemon.running import listen
from tortie.daemon.sinks import Sink, file_sink, syslog_sink
from tortie.daemon.watchdog import LoopWatchdog


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request)
        data = b""
        while part := client.recv(65536):
            data += part
    return data


def answer_of(port):
    """Nothing where the server let go, be it with an end or with a reset."""
    with suppress(ConnectionResetError, BrokenPipeError):
        return ask(port, b"GET /a HTTP/1.1\r\n\r\n")
    return b""


@pytest.mark.parametrize("host", ["nosuch.invalid", "a" * 64, "a..b"])
def test_a_host_that_is_none_is_an_error_that_names_it(host):
    async def go():
        async with AsyncExitStack() as opened:
            await listen({}, host, 0, opened)

    with pytest.raises(OSError, match=r"is no address to listen on: .") as told:
        asyncio.run(go())
    assert repr(host) in str(told.value)


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /a HTTP/1.1", b"200 OK", b"yes\n"),
        (b"GET /a?x=1 HTTP/1.1", b"200 OK", b"yes\n"),
        (b"HEAD /a HTTP/1.1", b"200 OK", b""),
        (b"GET /b HTTP/1.1", b"404 Not Found", b"there are: /a\n"),
        (b"POST /a HTTP/1.1", b"405 Method Not Allowed", b"only GET and HEAD are answered\n"),
        (b"\xff\xfe", b"405 Method Not Allowed", b"only GET and HEAD are answered\n"),
    ],
)
def test_pages_answer_get_and_head(request_line, status, body):
    async def go():
        server = HttpServer({"/a": lambda: Answer(200, b"yes\n")})
        port = await server.start("127.0.0.1", 0)
        try:
            return await asyncio.to_thread(ask, port, request_line + b"\r\nHost: x\r\n\r\n")
        finally:
            await server.close()

    head, _, found = asyncio.run(go()).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + status
    assert found == body


def test_clients_that_never_ask_cannot_use_up_the_descriptors(monkeypatch):
    monkeypatch.setattr("tortie.daemon.http._READ_TIMEOUT", 60.0)  # it is not this that ends them

    async def go():
        server = HttpServer({"/a": lambda: Answer(200, b"yes\n")})
        port = await server.start("127.0.0.1", 0)
        before = len(os.listdir("/proc/self/fd"))
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        for reader, _ in streams[64:]:
            with suppress(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 10)
        served = len(os.listdir("/proc/self/fd")) - before - len(streams)
        for _, writer in streams:
            writer.transport.abort()
        while not (await asyncio.to_thread(answer_of, port)):
            pass  # until it has seen that they are gone
        await server.close()
        return served

    assert asyncio.run(go()) <= 64


def test_health_says_what_each_part_waits_for_and_which_does_not_move():
    now = 0.0
    health = Health(clock=lambda: now)
    health.register("dataplane", 5.0, "nothing is programmed yet")
    health.register("datastore", 0, "no connection")
    assert health.liveness().status == 200
    assert health.readiness().body == (
        b"dataplane: nothing is programmed yet\ndatastore: no connection\n"
    )
    health.ready("dataplane")
    health.ready("datastore")
    assert health.readiness() == Answer(200, b"ready\n")
    now = 6.0
    assert health.liveness().body == b"dataplane: no sign of life for 6 s\n"
    assert not health.is_ready
    health.alive("dataplane")
    assert health.is_ready


def test_a_loop_that_stands_still_is_reported_once_with_its_stack():
    reports = []
    reported = threading.Event()

    def note(seconds, stack):
        reports.append((seconds, stack))
        reported.set()

    async def stuck_here():
        watchdog = LoopWatchdog(0.05, note)
        watchdog.start()
        assert reported.wait(20)
        watchdog.stop()

    asyncio.run(stuck_here())
    assert len(reports) == 1
    assert reports[0][0] > 0.05
    assert "stuck_here" in reports[0][1]


def test_logs_are_json_lines_at_the_severity_asked_for():
    import structlog

    out = io.StringIO()
    configure_logs("WARNING", out)
    try:
        log = structlog.get_logger("x")
        log.info("unseen")
        log.error("seen", subject="NetworkPolicy(a/b)")
    finally:
        structlog.reset_defaults()
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"]) == ("seen", "error")
    assert entry["subject"] == "NetworkPolicy(a/b)"


def test_other_places_have_severities_of_their_own(tmp_path):
    import structlog

    out, path = io.StringIO(), tmp_path / "new" / "agent.log"
    syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    syslog.bind(str(tmp_path / "log"))
    sinks = [
        file_sink(str(path), "DEBUG"),
        syslog_sink("tortie-agent", "ERROR", str(tmp_path / "log")),
    ]
    configure_logs("INFO", out, sinks)
    try:
        log = structlog.get_logger("x")
        log.debug("detail")
        path.rename(tmp_path / "rotated")
        log.error("trouble")
    finally:
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["trouble"]
    assert json.loads((tmp_path / "rotated").read_text())["event"] == "detail"
    assert json.loads(path.read_text())["event"] == "trouble"
    assert syslog.recv(1000).startswith(f"<27>tortie-agent[{os.getpid()}]: {{".encode())
    with pytest.raises(BlockingIOError):
        syslog.recv(1, socket.MSG_DONTWAIT)
    syslog.close()


def test_a_place_that_fails_costs_no_other_its_line():
    import structlog

    out, before = io.StringIO(), dropped_lines()

    def full(_line, _level):
        raise OSError("no space left")

    configure_logs("INFO", out, [Sink(0, full)])
    try:
        structlog.get_logger("x").info("said")
    finally:
        structlog.reset_defaults()
    assert json.loads(out.getvalue())["event"] == "said"
    assert dropped_lines() == before + 1


def test_debug_messages_can_be_those_of_some_files_alone():
    import structlog

    for expression, expected in ((r"test_parts\.py$", ["fine", "plain"]), ("other", ["plain"])):
        out = io.StringIO()
        configure_logs("DEBUG", out, debugged=expression)
        try:
            structlog.get_logger("x").debug("fine")
            structlog.get_logger("x").info("plain")
        finally:
            structlog.reset_defaults()
        assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == expected


def test_another_severity_counts_for_loggers_that_were_used_before():
    import structlog

    out = io.StringIO()
    configure_logs("INFO", out)
    try:
        log = structlog.get_logger("x")
        log.info("first")
        set_severity("ERROR")
        log.warning("unseen")
        set_severity("")  # turned off: only what ends the process is said
        log.error("unseen")
        set_severity("DEBUG")
        log.debug("last")
    finally:
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["first", "last"]
