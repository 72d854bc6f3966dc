"""The names of nftables' objects: those of every firewall, and which chains are host endpoints'."""

from base64 import urlsafe_b64encode
from hashlib import blake2b

from tortie.dataplane.policy.desired import Run
from tortie.dataplane.policy.names import (
    ChainName,
    SetName,
    UnsafeName,
    Way,
    checked_interface,
    endpoint_chain,
    host_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.policy.plan import OwnerNames

__all__ = [
    "OWNERS",
    "TABLE",
    "ChainName",
    "SetName",
    "UnsafeName",
    "Way",
    "checked_interface",
    "endpoint_chain",
    "host_chain",
    "is_host_chain",
    "is_host_way",
    "is_run_chain",
    "policy_chain",
    "profile_chain",
    "run_chain",
    "set_name",
]

TABLE = "calico"
OWNERS = OwnerNames(policy_chain, profile_chain)
_HOST_WAYS = "cali-hep-"
_HOST_PREFIXES = (
    *("cali-fhu-", "cali-thu-", "cali-fhp-", "cali-fhfw-", "cali-thfw-", "cali-fh-", "cali-th-"),
    _HOST_WAYS,
)


def run_chain(run: Run) -> ChainName:
    """cali-ri-_<hash>: where many policies are asked at once, by all endpoints that have these."""
    told = repr((run.way, tuple(map(tuple, run.policies)))).encode()
    digest = urlsafe_b64encode(blake2b(told, digest_size=18).digest()).decode()
    return ChainName(f"cali-r{run.way.value}-_{digest}")


def is_run_chain(name: ChainName) -> bool:
    """Whether it is where many policies are asked at once."""
    return name.startswith(("cali-ri-_", "cali-ro-_"))


def is_host_chain(name: ChainName) -> bool:
    """Whether it is of host endpoints: no other chain's name begins so."""
    return name.startswith(_HOST_PREFIXES)


def is_host_way(name: ChainName) -> bool:
    """Whether it is one that leads to host endpoints, and no single one's."""
    return name.startswith(_HOST_WAYS)
