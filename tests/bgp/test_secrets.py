"""Passwords from files and from the Kubernetes API: what is read, what is kept, what is refused."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.kube import KubeServer
from tortie.bgp import secrets
from tortie.bgp.passwords import MISSING, SecretRef
from tortie.bgp.secrets import (
    FileSecrets,
    HoldsSecrets,
    KubernetesSecrets,
    SecretKeeper,
    SourceAway,
)
from tortie.bgp.words import Password
from tortie.datastore.kubernetes.store import KubernetesDatastore

TOR = SecretRef("bgp", "tor")


def test_a_file_is_a_key_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "bgp").mkdir()
    (tmp_path / "bgp" / "tor").write_bytes(b"hush")
    source = FileSecrets(str(tmp_path))
    assert asyncio.run(source.read(TOR)) == b"hush"
    assert asyncio.run(source.read(SecretRef("bgp", "other"))) is None


@pytest.mark.parametrize(
    "ref",
    [
        SecretRef("..", "outside"),
        SecretRef(".", "outside"),
        SecretRef("bgp/..", "tor"),
        SecretRef("bgp", "../../outside"),
        SecretRef("", "tor"),
        SecretRef("bgp", ""),
        SecretRef("bgp", "a\x00b"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, ref: SecretRef) -> None:
    (tmp_path / "outside").write_bytes(b"not yours")
    folder = tmp_path / "secrets"
    (folder / "bgp").mkdir(parents=True)
    assert asyncio.run(FileSecrets(str(folder)).read(ref)) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_away_and_keeps_nobody_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "bgp").mkdir()
    make(tmp_path / "bgp" / "tor")
    (tmp_path / "bgp" / "other").write_bytes(b"hush")
    keeper, other = SecretKeeper(FileSecrets(str(tmp_path))), SecretRef("bgp", "other")

    async def story() -> None:
        async with asyncio.timeout(20):
            await keeper.look({TOR, other})

    asyncio.run(story())
    assert keeper.passwords[other] == Password(b"hush")
    assert not isinstance(keeper.passwords[TOR], Password)


def test_one_secret_without_an_answer_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No server is silent for one Secret alone."""

    class Silent:
        async def read(self, wanted: SecretRef) -> bytes | None:
            if wanted == TOR:
                await asyncio.Event().wait()
            return b"hush"

    monkeypatch.setattr(secrets, "_PATIENCE", 0.1)
    keeper, other = SecretKeeper(Silent()), SecretRef("bgp", "other")
    asyncio.run(keeper.look({TOR, other}))
    assert keeper.passwords[other] == Password(b"hush")
    assert "no answer within 0.1 s" in str(keeper.passwords[TOR])
    assert keeper.away


class _Source:
    """Answers what it is told to; no file can be away and back at will."""

    def __init__(self) -> None:
        self.answer: bytes | Exception | None = b"one"

    async def read(self, wanted: SecretRef) -> bytes | None:
        del wanted
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_known_password_outlives_its_source_but_not_its_deletion() -> None:
    async def story() -> None:
        source = _Source()
        keeper = SecretKeeper(source)
        assert await keeper.look({TOR})
        assert keeper.passwords == {TOR: Password(b"one")}
        source.answer = SourceAway("the API server is away")
        assert not await keeper.look({TOR})
        assert (keeper.passwords, keeper.away) == ({TOR: Password(b"one")}, False)
        source.answer = None
        assert await keeper.look({TOR})
        assert keeper.passwords == {TOR: MISSING}
        for unusable in (b"", b"line\n", "é".encode()):
            source.answer = b"one"
            assert await keeper.look({TOR})
            source.answer = unusable  # never the one before, nor none at all
            assert await keeper.look({TOR})
            assert isinstance(keeper.passwords[TOR], str)
            assert keeper.passwords[TOR] != MISSING
        assert await keeper.look(())
        assert keeper.passwords == {}

    asyncio.run(story())


def test_only_what_was_never_looked_at_is_looked_at_at_once() -> None:
    async def story() -> None:
        source, other = _Source(), SecretRef("bgp", "other")
        keeper = SecretKeeper(source)
        await keeper.look_at_new({TOR})
        source.answer = b"two"
        await keeper.look_at_new({TOR})
        assert keeper.passwords == {TOR: Password(b"one")}
        await keeper.look_at_new({TOR, other})
        assert keeper.passwords == dict.fromkeys((TOR, other), Password(b"two"))

    asyncio.run(story())


def test_a_password_that_was_never_known_is_away_not_missing() -> None:
    async def story() -> None:
        source = _Source()
        source.answer = SourceAway("the API server is away")
        keeper = SecretKeeper(source)
        await keeper.look({TOR})
        assert keeper.away
        assert "the API server is away" in str(keeper.passwords[TOR])
        source.answer = b"one"
        assert await keeper.look({TOR})
        assert not keeper.away

    asyncio.run(story())


def test_a_password_that_can_not_be_used_is_said_without_it() -> None:
    async def story() -> None:
        source = _Source()
        source.answer = b'my "secret"\nwords'
        keeper = SecretKeeper(source)
        await keeper.look({TOR})
        assert "secret" not in str(keeper.passwords[TOR])

    asyncio.run(story())


def test_secrets_of_the_kubernetes_api_are_read_by_name(kube: KubeServer) -> None:
    kube.api.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "bgp", "namespace": "kube-system"},
            "stringData": {"tor": "hush"},
        }
    )

    async def story() -> None:
        store = await KubernetesDatastore.open(kube.client())
        assert isinstance(store, HoldsSecrets)
        source = KubernetesSecrets(store, "kube-system")
        assert await source.read(TOR) == b"hush"
        assert await source.read(SecretRef("bgp", "other")) is None
        assert await source.read(SecretRef("none", "tor")) is None
        with pytest.raises(SourceAway):
            await source.read(SecretRef("..", "tor"))
        await store.close()

    asyncio.run(story())
