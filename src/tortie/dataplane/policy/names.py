"""Every name that goes into a firewall's text, built by a function that checks or hashes it. Pure.

Nothing from a resource reaches the text in another way: policies, profiles and sets have names
that people choose, and a `}` in one must not become a `}` in a transaction. A safe name stays
readable; any other becomes "_" and a hash, which no safe name begins with.
"""

import re
from base64 import urlsafe_b64encode
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import NewType

from tortie.policy.program import EndpointId, PolicyId, SetId

ChainName = NewType("ChainName", str)
SetName = NewType("SetName", str)

_CHAIN_LIMIT = 120  # the kernel takes 255; longer ones only make a listing unreadable
_SET_LIMIT = 31  # Calico's limit, that of ipset: one name for a set in every dataplane
_REMEMBERED = 16_384  # names are asked for over and over: by each endpoint, each rule
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", re.ASCII)
_SHORT_KINDS = {
    "NetworkPolicy": "np",
    "GlobalNetworkPolicy": "gnp",
    "StagedNetworkPolicy": "snp",
    "StagedGlobalNetworkPolicy": "sgnp",
    "StagedKubernetesNetworkPolicy": "sknp",
    "KubernetesNetworkPolicy": "knp",
    "KubernetesAdminNetworkPolicy": "kanp",
    "KubernetesBaselineAdminNetworkPolicy": "kbanp",
    "KubernetesClusterNetworkPolicy": "kcnp",
}


class UnsafeName(ValueError):
    """A name that the kernel or a firewall's grammar does not take, and that can't be replaced."""


class Unrenderable(ValueError):
    """A rule that a firewall can't say. Its policy is closed: half of it might open more."""


class Way(Enum):
    """A direction, as the letter of Calico's chain names: seen from the workload's interface."""

    TO = "i"  # ingress: to the workload
    FROM = "o"  # egress: from the workload


@lru_cache(maxsize=_REMEMBERED)
def policy_chain(way: Way, policy: PolicyId) -> ChainName:
    """cali-pi-knp/default/web: the chain of one policy's ingress (pi) or egress (po) rules."""
    parts = (_SHORT_KINDS.get(policy.kind, ""), policy.namespace, policy.name)
    if not (parts[0] and policy.name) or "/" in policy.namespace or "/" in policy.name:
        # Written with "/" between them, parts could be taken for those of another policy.
        return ChainName(_hashed(f"cali-p{way.value}-", repr(tuple(policy))))
    text = "/".join(filter(None, parts))
    return ChainName(_checked(f"cali-p{way.value}-", text, _CHAIN_LIMIT))


def profile_chain(way: Way, profile: str) -> ChainName:
    """cali-pri-kns.default: the chain of one profile's rules."""
    return ChainName(_checked(f"cali-pr{way.value}-", profile, _CHAIN_LIMIT))


def endpoint_chain(way: Way, interface: str) -> ChainName:
    """cali-tw-cali123: the chain that a packet to (tw) or from (fw) this interface walks.

    Raises UnsafeName: an interface's name is the kernel's, a hash of it would match nothing.
    """
    prefix = "cali-tw-" if way is Way.TO else "cali-fw-"
    return ChainName(prefix + checked_interface(interface))


@lru_cache(maxsize=_REMEMBERED)
def host_chain(prefix: str, host: EndpointId) -> ChainName:
    """cali-fh-node1-eth0: the chain of one stage of a host endpoint; `prefix` tells which."""
    return ChainName(_checked(prefix, host.name, _CHAIN_LIMIT))


def checked_interface(name: str) -> str:
    """The name of an interface if it is one that can stand in a text; else raises UnsafeName."""
    if not _INTERFACE.fullmatch(name):
        raise UnsafeName(
            f"interface {name!r}: use 1 to 15 letters, digits, '.', '_' and '-', not beginning "
            "with '.' or '-'"
        )
    return name


@lru_cache(maxsize=_REMEMBERED)
def set_name(version: int, set_id: SetId) -> SetName:
    """cali40masq-ipam-pools: a set's name in the table of an IP version, at most 31 characters."""
    return SetName(_checked(f"cali{version}0", set_id, _SET_LIMIT))


def _checked(prefix: str, text: str, limit: int) -> str:
    if len(prefix) + len(text) <= limit and _SAFE.fullmatch(text):
        return prefix + text
    return _hashed(prefix, text)


def _hashed(prefix: str, text: str) -> str:
    digest = urlsafe_b64encode(sha256(text.encode("utf-8", "surrogatepass")).digest()).decode()
    return f"{prefix}_{digest[:24]}"
