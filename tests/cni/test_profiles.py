"""The profile that joins a network's containers: for whom one is made, and for whom none."""

import asyncio
import json

import pytest

from tortie.api import ObjectMeta, Profile, ProfileSpec
from tortie.cni.errors import CniError
from tortie.cni.profiles import ensure_profile
from tortie.cni.request import parse_request
from tortie.cni.workload import workload_of
from tortie.datastore.memory import MemoryDatastore

POD = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"


def made(*there, arguments="", **config):
    """The profiles after a container's ADD, by name."""
    environ = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/run/netns/x",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": arguments,
    }
    text = json.dumps({"cniVersion": "1.0.0", "name": "blue", "type": "calico", **config})
    request = parse_request(environ, text.encode())

    async def body():
        store = MemoryDatastore()
        for one in there:
            await store.create(one)
        await ensure_profile(store, request, workload_of(request, "n1"))
        return {one.metadata.name: one for one in (await store.list("Profile")).resources}

    return asyncio.run(body())


def test_a_container_that_nobody_names_gets_its_networks_profile():
    profile = made()["blue"]
    assert profile.spec.labels_to_apply == {"blue": ""}
    assert [one.source.selector for one in profile.spec.ingress] == ["has(blue)"]


@pytest.mark.parametrize(
    ("arguments", "config"),
    [("", {"policy": {"type": "k8s"}}), ("", {"policy": {"type": "none"}}), (POD, {})],
)
def test_pods_and_networks_whose_policy_is_anothers_get_none(arguments, config):
    assert made(arguments=arguments, **config) == {}


def test_one_that_is_there_stays_as_it_is():
    own = Profile(metadata=ObjectMeta(name="blue"), spec=ProfileSpec(labels_to_apply={"a": "b"}))
    assert made(own)["blue"].spec == own.spec


@pytest.mark.parametrize("name", ["kns.shop", "ksa.shop.web", "projectcalico-default-allow"])
def test_no_network_takes_the_name_of_another_things_profile(name):
    with pytest.raises(CniError, match=f"can't be called '{name}'"):
        made(name=name)
