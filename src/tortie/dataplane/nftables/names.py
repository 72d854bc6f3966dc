"""The names of nftables' objects: those of every firewall, and which chains are host endpoints'."""

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
    "policy_chain",
    "profile_chain",
    "set_name",
]

TABLE = "calico"
OWNERS = OwnerNames(policy_chain, profile_chain)
_HOST_PREFIXES = (
    *("cali-fhu-", "cali-thu-", "cali-fhp-", "cali-fhfw-", "cali-thfw-", "cali-fh-", "cali-th-"),
    "cali-hep-",
)


def is_host_chain(name: ChainName) -> bool:
    """Whether it is of host endpoints: no other chain's name begins so."""
    return name.startswith(_HOST_PREFIXES)
