"""Addresses for workloads and tunnels: blocks, affinities and handles.

What comes in: a request for addresses on a node. What goes out: addresses that nobody else holds,
recorded under a handle. The block algebra is pure; a compare-and-swap loop around it makes it safe
between nodes. It never talks to the kernel.
"""

from tortie.ipam.errors import AlreadyAssigned, Exhausted, IpamError, NoPool
from tortie.ipam.service import IPAM, TOGETHER
from tortie.ipam.types import Assignment, AssignRequest, FixedRequest, ReleaseRequest, ReturnRequest

__all__ = [
    "IPAM",
    "TOGETHER",
    "AlreadyAssigned",
    "AssignRequest",
    "Assignment",
    "Exhausted",
    "FixedRequest",
    "IpamError",
    "NoPool",
    "ReleaseRequest",
    "ReturnRequest",
]
