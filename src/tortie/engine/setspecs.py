"""What a set is made of, and its id: equal specifications share one set, in every policy."""

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha224
from typing import NamedTuple

from tortie.net import protocol_name
from tortie.policy.program import SetId, SetKind
from tortie.selectors import Selector


class SetSpec(NamedTuple):
    """The addresses of all that `selector` matches; with `port`, its ports of that name.

    `id` follows from the rest. `protocol` is 0 for a set of addresses.
    """

    id: SetId
    kind: SetKind
    selector: Selector
    protocol: int = 0
    port: str = ""

    @property
    def title(self) -> str:
        """What the set holds, for people."""
        if self.kind is SetKind.NET:
            return f"what {self.selector} selects"
        return f"the {protocol_name(self.protocol)} port {self.port!r} of {self.selector}"


class ServiceSpec(NamedTuple):
    """The addresses behind a service, or (IP_PORT) these with its endpoints' ports."""

    id: SetId
    kind: SetKind
    namespace: str
    name: str

    @property
    def title(self) -> str:
        """What the set holds, for people."""
        return f"the service {self.namespace}/{self.name}"


AnySpec = SetSpec | ServiceSpec


@lru_cache(maxsize=16384)
def net_set(selector: Selector) -> SetSpec:
    """The addresses of the endpoints and network sets that a selector matches."""
    return SetSpec(selector.uid, SetKind.NET, selector)


@lru_cache(maxsize=16384)
def port_set(selector: Selector, protocol: int, port: str) -> SetSpec:
    """The ports of one name and protocol of the endpoints that a selector matches."""
    name = _hashed("n:", f"{selector.canonical} {protocol} {port}")
    return SetSpec(name, SetKind.IP_PORT, selector, protocol, port)


@lru_cache(maxsize=16384)
def service_set(kind: SetKind, namespace: str, name: str) -> ServiceSpec:
    """What is behind a service: addresses, or addresses with ports."""
    prefix = "svc:" if kind is SetKind.IP_PORT else "svcnoport:"
    return ServiceSpec(_hashed(prefix, f"{namespace}/{name}"), kind, namespace, name)


def _hashed(prefix: str, text: str) -> SetId:
    digest = sha224((prefix + text).encode(errors="surrogatepass")).digest()
    return prefix + urlsafe_b64encode(digest).rstrip(b"=").decode()
