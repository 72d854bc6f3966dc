"""WireGuard's public keys in the Node: there once a device has them, changed, withdrawn."""

import asyncio

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tortie.api import Key
from tortie.dataplane.wireguard import Keys, WireguardSettings
from tortie.datastore import Unavailable
from tortie.datastore.memory import MemoryDatastore
from tortie.node.resource import ensure_node
from tortie.node.wireguard import PublicKeys

NODE = Key("Node", "", "n1")
ONE, TWO = "A" * 43 + "=", "B" * 43 + "="


def settings(run_dir, *, enabled=True):
    return {
        version: WireguardSettings(node="n1", run_dir=run_dir, enabled=enabled, version=version)
        for version in (4, 6)
    }


async def published(store):
    status = (await store.get(NODE)).status
    return (status.wireguard_public_key, status.wireguard_public_key_v6) if status else ("", "")


async def until(condition):
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def scenario(run_dir, test):
    """Run an async test on a store with our Node, and the service at work."""

    async def go():
        store = MemoryDatastore()
        await ensure_node(store, "n1", "172.16.1.2/24")
        keys = PublicKeys(store, "n1", settings(run_dir))
        task = asyncio.create_task(keys.run())
        try:
            await asyncio.wait_for(test(store, keys), 150)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


def test_a_key_is_published_once_its_device_has_it(tmp_path):
    async def test(store, keys):
        keys.ready(4, ONE)
        await until(lambda: is_published(store, ONE, ""))
        keys.ready(6, TWO)
        await until(lambda: is_published(store, ONE, TWO))

    scenario(tmp_path, test)


def test_keys_that_somebody_wrote_away_are_published_again(tmp_path):
    async def test(store, keys):
        keys.ready(4, ONE)
        await until(lambda: is_published(store, ONE, ""))
        keys.saw([(NODE, await store.get(NODE))])
        without = await store.update(replace(await store.get(NODE), status=None))
        await asyncio.sleep(0)
        assert await published(store) == ("", "")
        keys.saw([(Key("Node", "", "other"), without), (NODE, None)])
        keys.saw([(NODE, without)])
        await until(lambda: is_published(store, ONE, ""))

    scenario(tmp_path, test)


def test_what_was_published_stays_until_a_device_is_there(tmp_path):
    """Else others would send in clear what they encrypted a moment ago."""

    async def test(store, keys):
        keys.ready(4, ONE)
        await until(lambda: is_published(store, ONE, ""))
        again = PublicKeys(store, "n1", settings(tmp_path))
        task = asyncio.create_task(again.run())
        revision = await store.revision()
        again.ready(6, TWO)
        await until(lambda: is_published(store, ONE, TWO))
        task.cancel()
        assert await store.revision() == revision + 1

    scenario(tmp_path, test)


def test_switched_off_it_is_withdrawn(tmp_path):
    async def test(store, keys):
        keys.ready(4, ONE)
        keys.ready(6, TWO)
        await until(lambda: is_published(store, ONE, TWO))
        keys.configure(settings(tmp_path, enabled=False))
        await until(lambda: is_published(store, "", ""))

    scenario(tmp_path, test)


@pytest.mark.parametrize("version", [4, 6])
def test_switched_on_again_no_key_is_published_that_no_device_has(tmp_path, version):
    """The device of before is gone, and its key with it: others' packets would be lost."""

    def of(one, other):
        return (one, other) if version == 4 else (other, one)

    async def test(store, keys):
        keys.ready(version, ONE)
        await until(lambda: is_published(store, *of(ONE, "")))
        keys.configure(settings(tmp_path, enabled=False))
        keys.ready(version, ONE)  # by a turn that was under way
        await until(lambda: is_published(store, "", ""))
        keys.configure(settings(tmp_path))
        keys.ready(10 - version, TWO)  # by which it is seen that all is published that there is
        await until(lambda: is_published(store, *of("", TWO)))
        keys.ready(version, ONE)
        await until(lambda: is_published(store, *of(ONE, TWO)))

    scenario(tmp_path, test)


def test_one_that_is_switched_off_leaves_the_other_as_it_is(tmp_path):
    async def test(store, keys):
        keys.ready(4, ONE)
        keys.ready(6, TWO)
        await until(lambda: is_published(store, ONE, TWO))
        keys.configure({**settings(tmp_path), 6: settings(tmp_path, enabled=False)[6]})
        await until(lambda: is_published(store, ONE, ""))
        made = keys.rotate()
        assert len(made) == 1
        await until(lambda: is_published(store, made[0], ""))

    scenario(tmp_path, test)


def test_a_node_that_is_made_later_gets_the_keys_then(tmp_path):
    async def test(store, keys):
        await store.delete(NODE)
        keys.ready(4, ONE)
        await asyncio.sleep(0)
        await ensure_node(store, "n1", "172.16.1.2/24")
        await until(lambda: is_published(store, ONE, ""))

    scenario(tmp_path, test)


def test_a_datastore_that_fails_is_tried_again_and_told_once(tmp_path):
    async def test(store, keys):
        get, failed = store.get, []

        async def broken(key):
            if len(failed) < 3:
                failed.append(key)
                raise Unavailable("it is away")
            return await get(key)

        store.get = broken
        with capture_logs() as logs:
            keys.ready(4, ONE)
            await until(lambda: is_told(failed, 3))
            await until(lambda: is_published(store, ONE, ""))
        warnings = [one["reason"] for one in logs if one["log_level"] == "warning"]
        assert warnings == ["it is away"]

    scenario(tmp_path, test)


def test_news_of_other_nodes_cost_nothing(tmp_path):
    async def test(store, keys):
        keys.ready(4, ONE)
        await until(lambda: is_published(store, ONE, ""))
        asked = []
        store.get = lambda key: asked.append(key) or MemoryDatastore.get(store, key)
        other = replace(await MemoryDatastore.get(store, NODE), status=None)
        keys.saw([(Key("Node", "", "other"), other), (NODE, None)])
        for _ in range(5):
            await asyncio.sleep(0)
        assert asked == []

    scenario(tmp_path, test)


def test_other_keys_are_published_when_they_are_asked_for(tmp_path):
    async def test(store, keys):
        assert keys.rotate() == []  # no device has one yet
        keys.ready(4, ONE)
        await until(lambda: is_published(store, ONE, ""))
        [made] = keys.rotate()
        await until(lambda: is_published(store, made, ""))
        assert Keys(settings(tmp_path)[4].keys_file).holding(made)

    scenario(tmp_path, test)


async def is_published(store, *wanted):
    return await published(store) == wanted


async def is_told(found, count):
    return len(found) >= count
