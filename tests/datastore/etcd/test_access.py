"""Who is let in, and what those read who are not: one line that names what to do."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from servers.etcd import EtcdServer, etcd_server
from servers.etcd_users import Admin
from servers.pki import Pair, Pki
from strategies.datastore import first_events, network_set
from tortie.api import Key
from tortie.datastore import DatastoreError, Forbidden, NotFound, Unavailable
from tortie.datastore.etcd import EtcdDatastore
from tortie.datastore.etcd.diagnosis import why_unreachable
from tortie.datastore.etcd.endpoints import Endpoint
from tortie.datastore.settings import EtcdSettings

MISSING = Key("Tier", "", "missing")
Work = Callable[[EtcdDatastore], Awaitable[Any]]


def run(settings: EtcdSettings, work: Work) -> Any:
    async def body() -> Any:
        store = await EtcdDatastore.open(settings)
        try:
            async with asyncio.timeout(60):
                return await work(store)
        finally:
            await store.close()

    return asyncio.run(body())


def refused(settings: EtcdSettings, kind: type[DatastoreError], match: str) -> None:
    with pytest.raises(DatastoreError, match=match) as caught:
        run(settings, lambda store: store.get(MISSING))
    assert caught.type is kind
    assert "\n" not in str(caught.value)


def test_tls_with_a_client_certificate_works(etcd_tls: EtcdServer) -> None:
    made = run(etcd_tls.client, lambda store: store.create(network_set("a")))
    assert run(etcd_tls.client, lambda store: store.get(made.key)) == made


def test_a_client_certificate_that_is_not_taken_is_named(
    etcd_tls: EtcdServer, pki: Pki, tmp_path: Path
) -> None:
    client, stranger = etcd_tls.client, Pki(tmp_path, "stranger").issue("root")
    expired = pki.issue("root", lifetime=-timedelta(days=1))
    for pair, match in (
        (stranger, "does not accept our client certificate .*the CA that etcd trusts"),
        (expired, r"does not accept our client certificate: it expired on 20\d\d-\d\d-\d\d"),
    ):
        settings = replace(client, certificate=pair.certificate, key=pair.key)
        refused(settings, Forbidden, match)
    refused(replace(client, certificate=b"", key=b""), Forbidden, "wants a client certificate")


def test_a_server_that_is_not_known_is_not_spoken_with(
    etcd_tls: EtcdServer, tmp_path: Path
) -> None:
    client = etcd_tls.client
    refused(replace(client, ca=Pki(tmp_path, "other").ca), Unavailable, "is not accepted: unable")
    refused(replace(client, ca=b""), Unavailable, "is not accepted")


class OddPki(Pki):
    """An authority whose servers get a certificate that clients must not accept."""

    def __init__(self, folder: Path, name: str, lifetime: timedelta) -> None:
        super().__init__(folder)
        self._odd = (name, lifetime)

    def server(self, *_: str) -> Pair:
        name, lifetime = self._odd
        return self.issue(name, (name,), lifetime=lifetime)


@pytest.mark.parametrize(
    ("name", "lifetime", "match"),
    [
        ("elsewhere.example", timedelta(days=1), "is not accepted: IP address mismatch"),
        ("127.0.0.1", -timedelta(days=1), "is not accepted: certificate has expired"),
    ],
)
def test_a_servers_certificate_has_to_be_for_its_address_and_of_today(
    needs_etcd: None,  # noqa: ARG001 - asked for to skip
    tmp_path: Path,
    name: str,
    lifetime: timedelta,
    match: str,
) -> None:
    with etcd_server(OddPki(tmp_path, name, lifetime)) as server:
        refused(server.client, Unavailable, match)


def test_a_handshake_that_is_reset_is_told_as_one_that_is_ended() -> None:
    """A server without TLS may do that, by what it had read until then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = Endpoint(*("https://a", *server.getsockname()))
        done = threading.Thread(target=_reset, args=(server,))
        done.start()
        found = why_unreachable(endpoint, ssl.create_default_context(), EtcdSettings(endpoints=()))
        done.join()
    assert "if it has no TLS, write its endpoint with http" in str(found)


def _reset(server: socket.socket) -> None:
    peer, _ = server.accept()
    with peer:
        peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_tls_on_one_side_only_is_told(etcd: EtcdServer, etcd_tls: EtcdServer) -> None:
    plain = EtcdSettings(endpoints=(etcd_tls.endpoint.replace("https", "http"),))
    refused(plain, Unavailable, "speaks TLS: write its endpoint with https")
    secured = replace(etcd_tls.client, endpoints=(etcd.endpoint.replace("http", "https"),))
    refused(secured, Unavailable, "if it has no TLS, write its endpoint with http")


def test_a_server_that_is_down_or_nowhere_is_told() -> None:
    refused(EtcdSettings(endpoints=("http://127.0.0.1:1",)), Unavailable, "refused; is it running")
    nowhere = EtcdSettings(endpoints=("http://nowhere.invalid:2379",))
    refused(nowhere, Unavailable, "nowhere.invalid.* can't be found")


def test_a_server_that_hangs_costs_a_bounded_time(etcd: EtcdServer) -> None:
    with etcd.silent():
        refused(etcd.client, Unavailable, "does not answer")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ca": b"no PEM"}, "CA certificate can't be used"),
        ({"key": b""}, "belong together"),
        ({"certificate": b"no PEM"}, "certificate and key can't be used"),
        ({"endpoints": ()}, "name at least one"),
        ({"endpoints": ("https://a:2379", "http://b:2379")}, "mix http and https"),
        ({"endpoints": ("ftp://a",)}, "'ftp://a' is no etcd endpoint"),
        ({"endpoints": ("https://a:port",)}, "is no etcd endpoint"),
        ({"endpoints": ("https://a/path",)}, "is no etcd endpoint"),
        ({"endpoints": ("https://me:secret@a",)}, "^an etcd endpoint has no user in it: write"),
    ],
)
def test_settings_that_can_never_work_are_refused_at_once(
    pki: Pki, changes: dict[str, Any], match: str
) -> None:
    pair = pki.issue("root")
    good = EtcdSettings(
        endpoints=("https://a:2379",), ca=pki.ca, certificate=pair.certificate, key=pair.key
    )
    with pytest.raises(DatastoreError, match=match):
        run(replace(good, **changes), lambda store: store.get(MISSING))


def test_a_key_of_another_certificate_is_refused(pki: Pki) -> None:
    settings = EtcdSettings(
        endpoints=("https://a:2379",),
        ca=pki.ca,
        certificate=pki.issue("a").certificate,
        key=pki.issue("b").key,
    )
    with pytest.raises(DatastoreError, match="key values mismatch"):
        run(settings, lambda store: store.get(MISSING))


def user(server: EtcdServer, name: str, password: str = "") -> EtcdSettings:
    return replace(server.client, username=name, password=password or f"{name}'s")


def test_users_need_their_password_and_their_rights(etcd: EtcdServer) -> None:
    Admin(etcd).enable()
    agent = user(etcd, "agent")
    made = run(agent, lambda store: store.create(network_set("a")))
    assert run(agent, lambda store: store.get(made.key)) == made
    refused(user(etcd, "agent", "wrong"), Forbidden, "refuses the user 'agent' with this password")
    refused(user(etcd, "nobody"), Forbidden, "refuses the user 'nobody'")
    refused(etcd.client, Forbidden, "wants a user .*set ETCD_USERNAME")
    refused(user(etcd, "guest"), Forbidden, "'guest' may not read /calico/.*tiers/missing")
    with pytest.raises(Forbidden, match="'guest' may not watch"):
        run(user(etcd, "guest"), lambda store: anext(store.watch(["Tier"], 1)))
    with pytest.raises(Forbidden, match="'guest' may not write"):
        run(user(etcd, "guest"), lambda store: store.create(network_set("b")))
    assert "wrong" not in repr(user(etcd, "agent", "wrong"))


def test_the_role_of_the_manual_is_enough_for_everything(etcd: EtcdServer) -> None:
    Admin(etcd).enable()

    async def work(store: EtcdDatastore) -> None:
        made = await store.create(network_set("a"))
        changed = await store.update(made)
        assert [each.metadata.name for each in (await store.list("NetworkSet")).resources] == ["a"]
        since = int(changed.metadata.resource_version)
        async with aclosing(store.watch(["NetworkSet"], since)) as watch:
            await store.delete(made.key)
            assert len(await first_events(watch)) == 1
        assert await store.identity()
        async with await store.lease(30) as lease:
            await lease.create(network_set("b"))

    run(user(etcd, "agent"), work)


def test_a_token_that_was_lost_is_fetched_again(etcd: EtcdServer) -> None:
    """etcd keeps tokens in memory: a member that restarts knows none."""
    Admin(etcd).enable()

    async def work(store: EtcdDatastore) -> None:
        made = await store.create(network_set("a"))
        etcd.restart()
        assert await store.get(made.key) == made
        async with aclosing(store.watch(["NetworkSet"], 0)) as watch:
            assert len(await first_events(watch)) == 1
            etcd.restart()
            await store.delete(made.key)
            assert len(await first_events(watch)) == 1

    run(user(etcd, "agent"), work)


def test_a_token_that_ran_out_is_fetched_again(needs_etcd: None) -> None:  # noqa: ARG001
    with etcd_server(flags=("--auth-token-ttl", "1")) as etcd:
        Admin(etcd).enable()

        async def work(store: EtcdDatastore) -> None:
            made = await store.create(network_set("a"))
            connection = store._connection
            spent = connection._token
            async with asyncio.timeout(30):
                while connection._token == spent:
                    await asyncio.sleep(2.3)  # etcd prolongs a token that is in use
                    assert await store.get(made.key) == made
            async with aclosing(store.watch(["NetworkSet"], 0)) as watch:
                connection._token = spent  # what a watch finds that begins after a long silence
                assert len(await first_events(watch)) == 1

        run(user(etcd, "agent"), work)


def test_a_user_where_there_are_none_is_no_hindrance(etcd: EtcdServer) -> None:
    async def work(store: EtcdDatastore) -> None:
        with pytest.raises(NotFound):
            await store.get(MISSING)
        Admin(etcd).enable()  # from now on there are
        with pytest.raises(NotFound):
            await store.get(MISSING)

    run(user(etcd, "agent"), work)
