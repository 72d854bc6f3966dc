"""What address management keeps: blocks, affinities, handles and its configuration."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.fields import (
    ALWAYS_WRITTEN,
    Cidr,
    Fields,
    Int64,
    Timestamp,
    Unset,
    matching,
    written_default,
)
from tortie.api.meta import Resource
from tortie.api.rules import inside, items, present, text


class AllocationAttribute(Fields, frozen=True, kw_only=True):
    """Who holds addresses of a block."""

    handle_id: str | None = field(default=None, name="handle_id")
    """The handle that they are released by."""
    secondary: dict[str, str] = field(default_factory=dict)
    """What they are for: node, namespace, pod."""
    alternate_owner_attrs: dict[str, str] = field(default_factory=dict)
    """The same of a second owner, while a VM moves."""
    released_at: Timestamp | None = None
    """When they were released, while they cool down."""


class IPAMBlockSpec(Fields, frozen=True, kw_only=True):
    """A block of addresses: ordinal i is the block's first address + i."""

    cidr: Cidr
    """The block."""
    affinity: Annotated[str, matching(r"^(host|virtual):[a-zA-Z0-9\.\-_]+$")] | None = None
    """Whose workloads get its addresses: "host:NODE". Absent: anybody's."""
    affinity_claim_time: Timestamp | None = None
    """Since when the block has its affinity."""
    strict_affinity: bool
    """No other node may borrow addresses."""
    allocations: tuple[int | None, ...]
    """For each ordinal the index into `attributes`, null where free."""
    unallocated: tuple[int, ...]
    """The free ordinals, the next to give out first."""
    attributes: tuple[AllocationAttribute, ...]
    """Who holds addresses."""
    sequence_number: Annotated[Int64, written_default(0)] = 0
    """Counts changes, so that a stale release is known as such."""
    sequence_number_for_allocation: dict[str, Int64] = field(default_factory=dict)
    """For each ordinal (as text) in use, `sequence_number` when it was given out."""
    deleted: bool = False
    """The block is about to be removed: nobody may use it."""


class IPAMBlock(Resource, frozen=True, kw_only=True):
    """A block of addresses and who holds them."""

    api_version = API_VERSION
    kind = "IPAMBlock"

    spec: IPAMBlockSpec


class BlockAffinitySpec(Fields, frozen=True, kw_only=True):
    """A node's claim to a block."""

    state: Literal["confirmed", "pending", "pendingDeletion"] | Unset
    """How far the claim is: pending until the block itself names the node, then confirmed."""
    node: str
    """The node, or the virtual host."""
    type: str = ""
    """What `node` is: "host" or "virtual". Absent: host."""
    cidr: Cidr
    """The block."""
    deleted: Annotated[bool, written_default(False), ALWAYS_WRITTEN] = False
    """The claim is about to be removed."""


class BlockAffinity(Resource, frozen=True, kw_only=True):
    """A node's claim to a block of addresses."""

    api_version = API_VERSION
    kind = "BlockAffinity"

    spec: BlockAffinitySpec


class IPAMHandleSpec(Fields, frozen=True, kw_only=True):
    """How many addresses of which blocks one handle holds."""

    handle_id: str
    """The handle."""
    block: dict[str, int]
    """Block (CIDR) to number of addresses."""
    deleted: bool = False
    """The handle is about to be removed."""


class IPAMHandle(Resource, frozen=True, kw_only=True):
    """The addresses that are released together."""

    api_version = API_VERSION
    kind = "IPAMHandle"

    spec: IPAMHandleSpec


_INT32 = {"format": "int32"}
_BlockCount = Annotated[int, Meta(ge=0, le=1_000_000, extra_json_schema=_INT32)]
_Cooldown = Annotated[int, Meta(ge=0, le=1200, extra_json_schema=_INT32)]


class IPAMConfigurationSpec(Fields, frozen=True, kw_only=True):
    """How addresses are given out."""

    strict_affinity: Annotated[bool, written_default(False), ALWAYS_WRITTEN] = False
    """Nodes don't borrow addresses from other nodes' blocks."""
    auto_allocate_blocks: Annotated[bool, ALWAYS_WRITTEN] = True
    """Nodes claim new blocks when theirs are full."""
    max_blocks_per_host: Annotated[_BlockCount, written_default(0)] = 0
    """The most blocks that a node may have; 0: 20."""
    kube_virt_vm_address_persistence: Literal["Enabled", "Disabled"] | Unset = ""
    """Whether a VM keeps its address when it moves or restarts."""
    ip_cooldown_seconds: _Cooldown | None = None
    """Seconds for which a released address is not given out again. Absent: 0."""


class IPAMConfiguration(Resource, frozen=True, kw_only=True):
    """How addresses are given out. The one object is named "default"."""

    api_version = API_VERSION
    kind = "IPAMConfiguration"

    spec: IPAMConfigurationSpec


BLOCK_RULES = (
    inside(
        "spec",
        (
            present("cidr", checks.masked_cidr),
            text("affinity_claim_time", checks.date_time),
            items("attributes", (text("released_at", checks.date_time),)),
        ),
    ),
)

AFFINITY_RULES = (inside("spec", (present("cidr", checks.masked_cidr),)),)
