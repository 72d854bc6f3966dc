"""Labs on datastores of others: what is kept of them, how agents reach them, and real packets."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tortie.datastore.configuration import (
    ConfigurationError,
    from_environment,
    from_location,
    settings_of,
)
from tortie.lab.errors import LabError
from tortie.lab.journal import Journal
from tortie.lab.relay import relay
from tortie.lab.served import Server, agents_datastore, keep, name_of_store, servers_of, store_of
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace
from tortie.linux.netlink.sockets import NetlinkSocket

ETCD = {
    "ETCD_ENDPOINTS": "http://127.0.0.1:2379,http://localhost:2380",
    "ETCD_USERNAME": "agent",
    "ETCD_PASSWORD": "geheim",
}


@pytest.fixture
def journal(labs: Path) -> Journal:
    """A lab with nothing in it yet."""
    made = Journal("t", labs)
    made.create(1)
    return made


def test_a_lab_has_a_datastore_of_its_own_unless_one_is_named(journal: Journal) -> None:
    assert store_of(journal) == journal.store_path
    assert agents_datastore(journal) == {"TORTIE_DATASTORE": f"sqlite:{journal.store_path}"}


def test_what_names_the_datastore_is_kept_for_later_commands_and_for_agents(
    journal: Journal,
) -> None:
    fields = from_environment(ETCD)
    keep(journal, fields)
    assert store_of(journal) == settings_of(fields)
    assert settings_of(from_environment(agents_datastore(journal))) == settings_of(fields)
    assert stat.S_IMODE(journal.datastore_file.stat().st_mode) == 0o600
    assert name_of_store(journal) == "etcd:http://127.0.0.1:2379,http://localhost:2380"
    keep(journal, fields)  # once more: nothing new
    with pytest.raises(LabError, match="is up on another datastore"):
        keep(journal, from_location("etcd:http://127.0.0.1:1", fields))


def test_a_lab_with_a_datastore_of_its_own_keeps_to_it(journal: Journal) -> None:
    journal.store_path.touch()
    with pytest.raises(LabError, match="is up on another datastore"):
        keep(journal, from_environment(ETCD))
    assert store_of(journal) == journal.store_path


def test_files_are_found_from_wherever_agents_start(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: k}}],"
        " clusters: [{name: k, cluster: {server: 'https://127.0.0.1:6443'}}]}"
    )
    monkeypatch.chdir(tmp_path)
    keep(journal, from_location("kubernetes:kubeconfig", from_environment({})))
    assert agents_datastore(journal) == {
        "DATASTORE_TYPE": "kubernetes",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
    }


def test_servers_are_addresses() -> None:
    def servers(location: str) -> list[Server]:
        return servers_of(settings_of(from_location(location, from_environment({}))))

    both = "etcd:http://127.0.0.1:2379,http://localhost:2380"
    assert servers(both) == [Server("127.0.0.1", 2379), Server("127.0.0.1", 2380)]
    assert servers("etcd:http://[::1]:2379") == [Server("::1", 2379)]
    with pytest.raises(
        LabError, match=r"http://etcd\.lan:2379: nodes of a lab can't look up names"
    ):
        servers("etcd:http://etcd.lan:2379")
    with pytest.raises(LabError, match="a lab has an embedded datastore of its own"):
        servers("sqlite:x.db")
    with pytest.raises(ConfigurationError):
        servers("etcd:")


@pytest.fixture
def namespace() -> Iterator[Path]:
    """A network namespace with nothing but `lo`."""
    path = create_named(f"tt{os.getpid()}relay")
    with in_namespace(path), NetlinkSocket() as sock:
        Links(sock).set_up("lo")
    yield path
    delete_named(path.name)


@pytest.mark.root
def test_a_connection_inside_of_a_namespace_comes_out_on_the_machine(namespace: Path) -> None:
    payload = os.urandom(3 << 20)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async def body() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await relay("127.0.0.1", port, [str(namespace)])
        with in_namespace(namespace):
            client = socket.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(payload)
        writer.write_eof()
        return await reader.read()

    assert asyncio.run(asyncio.wait_for(body(), 30)) == payload


@pytest.mark.root
def test_where_nobody_listens_the_connection_ends(namespace: Path) -> None:
    async def body() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        await relay("127.0.0.1", port, [str(namespace)])
        with in_namespace(namespace):
            client = socket.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=client)
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        writer.close()
        return b""

    assert asyncio.run(asyncio.wait_for(body(), 30)) == b""
