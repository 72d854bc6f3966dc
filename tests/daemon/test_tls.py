"""Pages over TLS: what is served to whom, and what is refused before anything is served."""

import asyncio
import socket
import ssl

import pytest

from servers.pki import Pki
from tortie.daemon.http import Answer, HttpServer
from tortie.daemon.tls import TlsFiles, server_context


@pytest.fixture
def pki(tmp_path):
    return Pki(tmp_path)


def ask(port, pki, client=None):
    """The page's status line, as a client with this certificate sees it."""
    context = ssl.create_default_context(cafile=str(pki.ca_file))
    if client is not None:
        context.load_cert_chain(client.certificate_file, client.key_file)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        return tls.recv(100).split(b"\r\n")[0]


def served(files, question):
    async def run():
        server = HttpServer({"/metrics": lambda: Answer(200, b"a 1\n")})
        port = await server.start("127.0.0.1", 0, server_context(files))
        try:
            return await asyncio.to_thread(question, port)
        finally:
            await server.close()

    return asyncio.run(run())


def files_of(pki, **more):
    pair = pki.server()
    return TlsFiles(str(pair.certificate_file), str(pair.key_file), **more)


def test_a_page_is_served_over_tls(pki):
    assert served(files_of(pki), lambda port: ask(port, pki)) == b"HTTP/1.1 200 OK"


def test_clients_show_a_certificate_where_they_must(pki, tmp_path):
    asking = files_of(pki, ca=str(pki.ca_file), client_auth="RequireAndVerifyClientCert")
    client = pki.issue("scraper")
    assert served(asking, lambda port: ask(port, pki, client)) == b"HTTP/1.1 200 OK"
    (tmp_path / "others").mkdir()
    stranger = Pki(tmp_path / "others").issue("stranger")
    for wrong in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            served(asking, lambda port, wrong=wrong: _must_answer(ask(port, pki, wrong)))


def _must_answer(line):
    if not line:  # TLS 1.3: the refusal comes after the handshake
        raise ConnectionError("the server hung up")
    return line


def test_half_of_it_is_refused(pki, tmp_path):
    good = files_of(pki)
    bad = [
        good._replace(key=""),
        good._replace(certificate=""),
        good._replace(client_auth="RequireAnyClientCert"),
        good._replace(certificate=str(tmp_path / "absent")),
        good._replace(key=good.certificate),
    ]
    for files in bad:
        with pytest.raises(ValueError, match=r"certificate|can't be read"):
            server_context(files)
