"""What a Service asks for. Pure.

Names, annotations and the handle are Calico's, so that either's controller finds what the other
has assigned.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tortie.api import checks
from tortie.api.kube.service import Service
from tortie.net import Prefix, parse_address

POOLS = {4: "projectcalico.org/ipv4pools", 6: "projectcalico.org/ipv6pools"}
ADDRESSES = "projectcalico.org/loadBalancerIPs"
CLASS = "calico"
_TYPE = "LoadBalancer"
_FAMILIES = {"IPv4": 4, "IPv6": 6}


class Wish(NamedTuple):
    """One address of each of `versions`: this very one, else of these pools, else of any pool."""

    versions: tuple[int, ...]
    addresses: Mapping[int, Prefix]
    pools: Mapping[int, tuple[str, ...]]  # names or CIDRs


def is_ours(service: Service, every_service: bool) -> bool:
    """Whether a Service gets its addresses here: every one without another's class, or, unless
    `every_service` (`assignIPs: AllServices`), only one that asks for it by class or annotation.
    """
    spec, annotations = service.spec, service.metadata.annotations
    if spec.type != _TYPE or spec.load_balancer_class not in ("", CLASS):
        return False
    asks = any(annotations.get(name) for name in (*POOLS.values(), ADDRESSES))
    return every_service or bool(spec.load_balancer_class) or asks


def handle_of(service: Service) -> str:
    """Under what IPAM holds its addresses: another for each life of a Service of that name."""
    own = service.metadata
    digest = hashlib.sha256(f"{own.name}-{own.namespace}-{own.uid}".lower().encode()).digest()
    text = base64.urlsafe_b64encode(digest).decode()
    return "lb-" + text.translate(str.maketrans("", "", "-_="))


def attributes_of(service: Service) -> dict[str, str]:
    """What IPAM notes beside its addresses."""
    own = service.metadata
    return {"service": own.name, "namespace": own.namespace, "type": _TYPE}


def wish_of(service: Service) -> Wish:
    """What it asks for. Raises ValueError, with the annotation, for what can't be meant."""
    versions = versions_of(service)
    addresses: dict[int, Prefix] = {}
    for text in _texts(service, ADDRESSES):
        address = _address(text)
        if address.version not in versions:
            raise ValueError(
                f"annotation {ADDRESSES}: {text} is IPv{address.version}, which the Service's "
                "ipFamilies don't have: add the family, or ask for another address"
            )
        if address.version in addresses:
            raise ValueError(
                f"annotation {ADDRESSES}: several IPv{address.version} addresses: give one"
            )
        addresses[address.version] = address
    pools = {version: _texts(service, name) for version, name in POOLS.items()}
    return Wish(versions, addresses, pools)


def versions_of(service: Service) -> tuple[int, ...]:
    """The IP versions that it has, the main one first."""
    given = service.spec.ip_families
    named = [_FAMILIES[one] for one in given or () if one in _FAMILIES]
    inside = [6 if ":" in text else 4 for text in _cluster_addresses(service)]
    return tuple(dict.fromkeys(named or inside or [4]))


def _cluster_addresses(service: Service) -> Iterable[str]:
    texts = service.spec.cluster_ips or (service.spec.cluster_ip,)
    return (text for text in texts if text not in ("", "None"))


def _address(text: str) -> Prefix:
    if not (checks.is_address(text, 4) or checks.is_address(text, 6)):
        raise ValueError(f"annotation {ADDRESSES}: {text!r} is no address, such as 192.0.2.1")
    return Prefix.single(*parse_address(text))


def _texts(service: Service, name: str) -> tuple[str, ...]:
    """A list in an annotation; one that is absent is empty."""
    text = service.metadata.annotations.get(name, "")
    if not text:
        return ()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        like = "192.0.2.1" if name == ADDRESSES else "my-pool"
        raise ValueError(f'annotation {name}: {text!r} is no list of texts, such as ["{like}"]')
    return tuple(found)
