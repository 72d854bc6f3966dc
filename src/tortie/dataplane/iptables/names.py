"""Names of chains and sets within the limits of iptables and ipset.

What is safe in any firewall is safe here. Chains have 28 characters at most: a longer name keeps
its prefix and becomes "_" and a hash of the whole.
"""

import re
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256

from tortie.dataplane.policy import names
from tortie.dataplane.policy.names import (
    ChainName,
    SetName,
    Unrenderable,
    UnsafeName,
    Way,
    checked_interface,
    endpoint_chain,
    set_name,
)
from tortie.dataplane.policy.plan import OwnerNames
from tortie.policy.program import EndpointId, PolicyId

__all__ = [
    "CHAIN_PREFIX",
    "OWNERS",
    "ChainName",
    "SetName",
    "Unrenderable",
    "UnsafeName",
    "Way",
    "branch_chain",
    "checked_interface",
    "endpoint_chain",
    "host_chain",
    "is_own_set",
    "policy_chain",
    "profile_chain",
    "set_name",
    "spare_name",
]

CHAIN_PREFIX = "cali-"
_CHAIN_LIMIT = 28
_REMEMBERED = 16_384
_OWN_SET = re.compile(r"cali[46][0t]")


@lru_cache(maxsize=_REMEMBERED)
def policy_chain(way: Way, policy: PolicyId) -> ChainName:
    """cali-pi-np/shop/web: the chain of one policy's ingress (pi) or egress (po) rules."""
    return _within_limit(f"cali-p{way.value}-", names.policy_chain(way, policy))


@lru_cache(maxsize=_REMEMBERED)
def profile_chain(way: Way, profile: str) -> ChainName:
    """cali-pri-kns.default: the chain of one profile's rules."""
    return _within_limit(f"cali-pr{way.value}-", names.profile_chain(way, profile))


@lru_cache(maxsize=_REMEMBERED)
def host_chain(prefix: str, host: EndpointId) -> ChainName:
    """cali-fh-node1-eth0: the chain of one stage of a host endpoint; `prefix` tells which."""
    return _within_limit(prefix, names.host_chain(prefix, host))


OWNERS = OwnerNames(policy_chain, profile_chain)


def branch_chain(way: Way, beginning: str) -> ChainName:
    """cali-td-cali1: where packets to (td) or from (fd) interfaces with this beginning go."""
    return ChainName(f"cali-{'t' if way is Way.TO else 'f'}d-{checked_interface(beginning)}")


def spare_name(name: SetName) -> SetName:
    """cali4t…: the set in which new contents of `name` grow before the two are swapped."""
    return SetName(f"{name[:5]}t{_digest(name)[:20]}")


def is_own_set(name: str) -> bool:
    """Whether a set of the kernel is this driver's, by its name."""
    return _OWN_SET.match(name) is not None


def _within_limit(prefix: str, name: ChainName) -> ChainName:
    if len(name) <= _CHAIN_LIMIT:
        return name
    room = _CHAIN_LIMIT - len(prefix) - 1
    return ChainName(f"{prefix}_{_digest(name)[:room]}")


def _digest(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()
