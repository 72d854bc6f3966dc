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


@lru_cache(maxsize=16384)
def net_set(selector: Selector) -> SetSpec:
    """The addresses of the endpoints and network sets that a selector matches."""
    return SetSpec(selector.uid, SetKind.NET, selector)


@lru_cache(maxsize=16384)
def port_set(selector: Selector, protocol: int, port: str) -> SetSpec:
    """The ports of one name and protocol of the endpoints that a selector matches."""
    text = f"n:{selector.canonical} {protocol} {port}"
    digest = sha224(text.encode(errors="surrogatepass")).digest()
    name = "n:" + urlsafe_b64encode(digest).rstrip(b"=").decode()
    return SetSpec(name, SetKind.IP_PORT, selector, protocol, port)
