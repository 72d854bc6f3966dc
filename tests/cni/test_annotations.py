"""What a Pod's annotations ask of its interface."""

import pytest

from tortie.api import ObjectMeta, Pod, PodSpec
from tortie.cni import annotations
from tortie.cni.errors import INVALID_CONFIG, CniError


def pod(name: str, text: str) -> Pod:
    asked = {f"cni.projectcalico.org/{name}": text}
    return Pod(metadata=ObjectMeta(name="p", namespace="d", annotations=asked), spec=PodSpec())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()),
        ("[]", set()),
        ('["IPv4"]', {4}),
        ('["IPv6"]', {6}),
        ('["IPv6", "IPv4", "IPv4"]', {4, 6}),
    ],
)
def test_the_families_that_a_pod_wants(text: str, found: set[int]) -> None:
    assert annotations.families(pod("ipFamilies", text)) == found


@pytest.mark.parametrize("text", ["", "1c:0c:0a:c0:ff:ee", "1C:0C:0A:C0:FF:EE"])
def test_the_mac_address_that_a_pod_wants(text: str) -> None:
    assert annotations.mac(pod("hwAddr", text)) == text.lower()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ipFamilies", '["ipv4"]', "use IPv4 and IPv6"),
        ("ipFamilies", "IPv4", "use a JSON list"),
        ("hwAddr", "1c:0c:0a:c0:ff", "use a MAC address"),
        ("hwAddr", "1d:0c:0a:c0:ff:ee", "group's address"),
        ("hwAddr", "any", "use a MAC address"),
    ],
)
def test_what_can_not_be_used_is_refused_by_its_name(name: str, text: str, said: str) -> None:
    read = {"ipFamilies": annotations.families, "hwAddr": annotations.mac}[name]
    with pytest.raises(CniError) as caught:
        read(pod(name, text))
    assert caught.value.code == INVALID_CONFIG
    assert name in caught.value.message
    assert said in caught.value.message


def test_a_container_without_a_pod_asks_for_nothing() -> None:
    assert (annotations.families(None), annotations.mac(None)) == (frozenset(), "")
