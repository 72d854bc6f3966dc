"""Which addresses a container asks for."""

import json

import pytest

from tortie.api import ObjectMeta, Pod, PodSpec
from tortie.cni.addresses import fixed_addresses
from tortie.cni.errors import CniError
from tortie.cni.request import CniRequest, NetworkConfig
from tortie.net import parse_prefix

ANNOTATION = "cni.projectcalico.org/ipAddrs"


def request(**arguments):
    return CniRequest("ADD", "c1", "/x", "eth0", arguments, NetworkConfig(name="n"))


def pod(asked):
    annotations = {} if asked is None else {ANNOTATION: asked}
    return Pod(
        metadata=ObjectMeta(name="p", namespace="d", annotations=annotations), spec=PodSpec()
    )


@pytest.mark.parametrize(
    ("asked", "arguments", "expected"),
    [
        (None, {}, []),
        (json.dumps(["10.0.0.1"]), {}, ["10.0.0.1"]),
        (json.dumps(["fd00::1", "10.0.0.1"]), {}, ["10.0.0.1", "fd00::1"]),
        (None, {"IP": "10.0.0.2"}, ["10.0.0.2"]),
        (json.dumps(["10.0.0.1"]), {"IP": "10.0.0.2"}, ["10.0.0.1"]),
    ],
)
def test_an_address_may_be_asked_for(asked, arguments, expected):
    found = fixed_addresses(request(**arguments), pod(asked))
    assert list(found) == [parse_prefix(one) for one in expected]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("10.0.0.1", "use a JSON list"),
        ('{"a":1}', "use a JSON list"),
        ('["10.0.0"]', "'10.0.0' is not an IP address"),
        ('["10.0.0.1/24"]', "is not an IP address"),
        ('["10.0.0.1","10.0.0.2"]', "two IPv4 addresses"),
    ],
)
def test_what_is_no_list_of_addresses_is_refused(asked, said):
    with pytest.raises(CniError) as caught:
        fixed_addresses(request(), pod(asked))
    assert caught.value.code == 7
    assert said in caught.value.message
