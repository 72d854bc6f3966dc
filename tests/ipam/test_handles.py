"""A handle is its own text: what differs in case only is another's, wherever it is kept."""

import asyncio

import pytest

from servers.kube import KubeServer
from strategies.ipam import ask, check_consistent, pool
from tortie.api import IPAMHandle
from tortie.datastore import Datastore, open_datastore
from tortie.datastore.etcd.layout import key_of, paths_of
from tortie.datastore.memory import MemoryDatastore
from tortie.ipam import IPAM, Assignment, IpamError
from tortie.ipam.audit import audit
from tortie.ipam.names import handle_key
from tortie.ipam.records import read_records


async def two_names(store: Datastore, ipam: IPAM) -> None:
    upper, lower = await ipam.lease([ask(handle="net.Web"), ask(handle="net.web")])
    assert isinstance(upper, Assignment)
    assert isinstance(lower, Assignment)
    assert upper.ips != lower.ips
    assert await ipam.release_by_handle("net.web") == lower.ips
    assert await ipam.addresses_of("net.Web") == upper.ips
    assert await ipam.release_by_handle("net.Web") == upper.ips
    assert (await store.list("IPAMHandle")).resources == ()


async def one_name(store: Datastore, ipam: IPAM) -> None:
    """Where both would have one name, the second is refused, and can't touch the first's."""
    first = (await ipam.auto_assign(ask(handle="net.Web"))).ips
    assert await ipam.addresses_of("net.Web") == first
    assert await ipam.addresses_of("net.web") == ()
    with pytest.raises(IpamError, match=r"the same name as net\.Web"):
        await ipam.auto_assign(ask(handle="net.web"))
    other, refused = await ipam.lease([ask(handle="other"), ask(handle="net.web")])
    assert isinstance(other, Assignment)
    assert isinstance(refused, IpamError)
    assert await ipam.release_by_handle("net.web") == ()
    assert await ipam.addresses_of("net.Web") == first
    found = {finding.what for finding in audit(await read_records(store)).findings}
    assert not found & {"handle", "untold"}
    handles = (await store.list("IPAMHandle")).resources
    assert {one.spec.handle_id for one in handles if isinstance(one, IPAMHandle)} == {
        "net.Web",
        "other",
    }
    assert await ipam.release_by_handles(["net.Web", "other"]) == [first, other.ips]
    assert (await store.list("IPAMHandle")).resources == ()


def test_two_that_differ_in_case_only_are_two() -> None:
    async def body() -> None:
        store = MemoryDatastore()
        await store.create(pool("p", "10.0.0.0/24"))
        await two_names(store, IPAM(store))
        await check_consistent(store)

    asyncio.run(body())


def test_etcd_has_them_where_calico_has_them() -> None:
    path = b"/calico/ipam/v2/handle/lb-6kXyZ0aB"
    assert paths_of(handle_key("lb-6kXyZ0aB")) == (path,)
    assert key_of(path) == handle_key("lb-6kXyZ0aB")


@pytest.mark.parametrize("group", ["crd.projectcalico.org/v1", "projectcalico.org/v3"])
def test_kubernetes_keeps_them_under_names_that_it_takes(kube: KubeServer, group: str) -> None:
    async def body() -> None:
        store = await open_datastore(kube.client(group))
        try:
            await store.create(pool("p", "10.0.0.0/24"))
            await one_name(store, IPAM(store))
        finally:
            await store.close()

    asyncio.run(body())
